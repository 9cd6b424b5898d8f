"""What is written is read back: count, times, size, rate, sound, colours and the run's record."""

import hashlib
import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from recast.errors import RequestError, ShapeError
from recast.video.read import Frame, Source, Window, frames, opened, read
from recast.video.record import embedded
from recast.video.write import writing

RECORD = json.dumps({"prompt": "a paper boat, ünïcode", "seed": 3})
NTSC = Fraction(30000, 1001)
VARYING = (0, 1001, 5000, 5001, 9000, 31000)


@dataclass(frozen=True)
class Recipe:
    """How to make a source without the code under test."""

    size: tuple[int, int] = (48, 64)
    times: tuple[int, ...] = tuple(range(0, 12012, 1001))
    time_base: Fraction = Fraction(1, 30000)
    sound: str | None = None
    turned: int = 0
    codec: str = "libx264"


def made(path: Path, recipe: Recipe) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(recipe.codec, rate=NTSC, options={"bf": "0", "flags": "+frame_duration"})
        stream.height, stream.width = recipe.size
        stream.pix_fmt = "yuv444p" if recipe.codec == "libx264" else "yuv420p"
        stream.time_base = stream.codec_context.time_base = recipe.time_base
        if recipe.turned:
            stream.set_display_rotation(recipe.turned)
        sound = container.add_stream(recipe.sound, rate=48000) if recipe.sound else None
        if sound:
            sound.layout = "mono"
        ends = [*recipe.times[1:], recipe.times[-1] + 1001]
        for index, (time, end) in enumerate(zip(recipe.times, ends, strict=True)):
            frame = av.VideoFrame.from_ndarray(picture(recipe.size, index), format="rgb24")
            frame.pts, frame.duration, frame.time_base = time, end - time, recipe.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound:
            tone(container, sound, float(ends[-1] * recipe.time_base))
    return path


def tone(container, stream, seconds: float) -> None:
    for start in range(0, int(48000 * seconds), 960):
        samples = np.sin(np.arange(start, start + 960, dtype=np.float32) * 0.05)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.pts, frame.rate, frame.time_base = start, 48000, Fraction(1, 48000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def picture(size: tuple[int, int], index: int) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.stack([rows * 3 + index * 5, columns * 2, rows + columns], -1).clip(0, 255).astype(np.uint8)


def copied(source: Source, target: Path, window: Window | None = None, **options) -> list[Frame]:
    window = window or Window()
    kept = list(frames(source, window))
    with writing(target, source, window, record=RECORD, **options) as writer:
        for frame in kept:
            writer.add(frame.pixels, frame)
    return kept


def sounds(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


RECIPES = {
    "plain": Recipe(),
    "odd": Recipe(size=(121, 161)),
    "varying": Recipe(times=VARYING),
    "single": Recipe(times=(0,)),
    "turned": Recipe(size=(48, 80), turned=90),
    "upside-down": Recipe(turned=180),
    "sounding": Recipe(sound="aac"),
}


@pytest.mark.parametrize("ending", ["mp4", "mov"])
@pytest.mark.parametrize("name", RECIPES)
def test_mp4_gives_back_times_size_rate_and_sound_exactly(tmp_path, name, ending):
    source = opened(made(tmp_path / "in.mp4", RECIPES[name]))
    kept = copied(source, tmp_path / f"out.{ending}")
    back = opened(tmp_path / f"out.{ending}")
    again = list(frames(back, Window()))
    assert [frame.seconds for frame in again] == [frame.seconds for frame in kept]
    assert [frame.seconds for frame in kept] == [time * RECIPES[name].time_base for time in RECIPES[name].times]
    assert (back.size, back.fps, back.rotation, back.num_frames) == (source.size, source.fps, 0, len(kept))
    assert (back.colour.matrix, back.colour.transfer, back.colour.primaries) == (1, 1, 1)
    for before, after in zip(kept, again, strict=True):
        assert (before.pixels.float() - after.pixels.float()).abs().mean() < 3
    if RECIPES[name].sound:
        assert sounds(tmp_path / f"out.{ending}") == sounds(tmp_path / "in.mp4")


@pytest.mark.parametrize("ending", ["mkv", "webm", "avi", "gif"])
@pytest.mark.parametrize("name", ["odd", "single", "varying", "sounding", "turned"])
def test_other_containers_give_back_count_and_size_and_times_to_a_tick(tmp_path, name, ending):
    source = opened(made(tmp_path / "in.mp4", RECIPES[name]))
    kept = copied(source, tmp_path / f"out.{ending}")
    back = opened(tmp_path / f"out.{ending}")
    again = list(frames(back, Window()))
    assert (len(again), back.size) == (len(kept), source.size)
    if not (name == "varying" and ending == "avi"):
        for before, after in zip(kept, again, strict=True):
            # Two of the varying times are closer than a tick, and times must rise: hence a second tick.
            assert abs(before.seconds - after.seconds) <= back.time_base * (2 if name == "varying" else 1)
    if ending in ("mkv", "webm") and name in ("odd", "turned", "sounding"):
        assert back.fps == source.fps


def test_turned_pixels_come_upright(tmp_path):
    plain = next(frames(opened(made(tmp_path / "plain.mp4", Recipe())), Window())).pixels
    for degrees, quarter_turns in ((90, 1), (180, 2), (270, 3)):
        source = opened(made(tmp_path / f"{degrees}.mp4", Recipe(turned=degrees)))
        turned = next(frames(source, Window())).pixels
        assert torch.equal(turned, torch.rot90(plain, quarter_turns, (-2, -1)))
        assert source.rotation == (360 - degrees) % 360
        assert not source.mirrored


def test_a_window_of_sound_starts_with_its_first_frame(tmp_path):
    source = opened(made(tmp_path / "in.mp4", Recipe(sound="aac", times=tuple(range(0, 30030, 1001)))))
    kept = copied(source, tmp_path / "out.mp4", Window(start=0.5, end=0.8))
    with av.open(str(tmp_path / "in.mp4")) as before, av.open(str(tmp_path / "out.mp4")) as after:
        whole = {bytes(packet): packet.pts * packet.time_base for packet in before.demux(audio=0) if packet.size}
        part = [(bytes(packet), packet.pts * packet.time_base) for packet in after.demux(audio=0) if packet.size]
    assert len(part) > 10
    for data, time in part:
        assert abs(whole[data] - kept[0].seconds - time) < Fraction(1, 20000)


def test_sound_that_webm_refuses_becomes_opus_and_is_noted(tmp_path):
    source = opened(made(tmp_path / "in.mp4", Recipe(sound="aac")))
    with writing(tmp_path / "out.webm", source, Window(), record=None) as writer:
        for frame in frames(source, Window()):
            writer.add(frame.pixels, frame)
    assert opened(tmp_path / "out.webm").sound_codec == "opus"
    assert any("aac to opus" in note for note in writer.notes)


@pytest.mark.parametrize("target", ["shots", "shots/frame_%03d.png"])
def test_pictures_come_back_bit_for_bit(tmp_path, target):
    source = opened(made(tmp_path / "in.mp4", Recipe(size=(31, 43))))
    kept = copied(source, tmp_path / target)
    back = opened(tmp_path / target)
    again = list(frames(back, Window()))
    assert back.fps == source.fps
    assert [frame.seconds for frame in again] == [frame.seconds for frame in kept]
    assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(kept, again, strict=True))


@pytest.mark.parametrize("target", ["out.mp4", "out.mov", "out.mkv", "out.webm", "out.avi", "out.gif", "out"])
def test_the_record_comes_back_and_bytes_are_the_same_each_time(tmp_path, target):
    source = opened(made(tmp_path / "in.mp4", Recipe(sound="aac")))
    written = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        copied(source, tmp_path / folder / target)
        assert embedded(tmp_path / folder / target) == RECORD
        files = sorted(file for file in (tmp_path / folder).rglob("*") if file.is_file())
        written.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])
    assert written[0] == written[1]


def test_a_file_of_others_has_no_record(tmp_path):
    assert embedded(made(tmp_path / "in.mp4", Recipe())) is None


@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm", "avi"])
@pytest.mark.parametrize("size", [(360, 640), (720, 1280)])
def test_flat_colours_survive(tmp_path, ending, size):
    colours = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    image = np.kron(colours, np.ones((size[0] // 3, size[1] // 4, 1), np.uint8))
    source = opened(made(tmp_path / "in.mp4", Recipe(size=size, times=(0,))))
    with writing(tmp_path / f"out.{ending}", source, Window(), record=None) as writer:
        writer.add(torch.from_numpy(image).permute(2, 0, 1), next(frames(source, Window())))
    back = next(frames(opened(tmp_path / f"out.{ending}"), Window())).pixels
    middles = back[:, size[0] // 6 :: size[0] // 3, size[1] // 8 :: size[1] // 4]
    assert np.abs(middles.permute(1, 2, 0).numpy().astype(int) - colours).max() <= 3


@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize("full", [False, True])
def test_tagged_colours_are_converted_by_their_tags(tmp_path, matrix, full):
    colour = np.array([200, 40, 90])
    kr, kb = {1: (0.2126, 0.0722), 6: (0.299, 0.114)}[matrix]
    luma = np.array([kr, 1 - kr - kb, kb]) @ colour / 255
    blue, red = (colour[2] / 255 - luma) / (2 - 2 * kb), (colour[0] / 255 - luma) / (2 - 2 * kr)
    scale, offset, chroma = (255, 0, 255) if full else (219, 16, 224)
    values = np.round([offset + scale * luma, 128 + chroma * blue, 128 + chroma * red]).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(np.tile(values[:, None, None], (1, 32, 32)), format="yuv444p")
    tags = {"qp": "0", "colorspace": str(matrix), "color_range": "pc" if full else "tv"}
    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=tags)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv444p"
        container.mux([*stream.encode(frame), *stream.encode(None)])
    pixel = next(frames(opened(tmp_path / "in.mp4"), Window())).pixels[:, 16, 16].numpy()
    assert np.abs(pixel.astype(int) - colour).max() <= 2


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("target", ["out.mp4", "out.gif", "shots", "shots/%04d.png"])
def test_an_exception_leaves_nothing_behind(tmp_path, target, raised):
    source = opened(made(tmp_path / "in.mp4", Recipe(sound="aac")))
    frame = next(frames(source, Window()))
    with pytest.raises(raised), writing(tmp_path / target, source, Window(), record=RECORD) as writer:  # noqa: PT012
        writer.add(frame.pixels, frame)
        raise raised
    assert [file.name for file in tmp_path.iterdir()] == ["in.mp4"]


def test_an_existing_target_is_kept_unless_told_otherwise(tmp_path):
    source = opened(made(tmp_path / "in.mp4", Recipe(times=(0, 1001))))
    for target in ("out.mp4", "shots"):
        copied(source, tmp_path / target)
        with pytest.raises(RequestError, match="already"):
            copied(source, tmp_path / target)
        copied(source, tmp_path / target, Window(max_frames=1), overwrite=True)
        assert opened(tmp_path / target).num_frames == 1
    with pytest.raises(RequestError, match="over the source"):
        copied(source, tmp_path / "in.mp4", overwrite=True)


def test_wrong_sizes_endings_rates_and_places_are_refused(tmp_path):
    source = opened(made(tmp_path / "in.mp4", Recipe()))
    frame = next(frames(source, Window()))
    with writing(tmp_path / "a.mp4", source, Window(), record=None) as writer:
        with pytest.raises(ShapeError, match="10x8"):
            writer.add(torch.zeros(3, 8, 10, dtype=torch.uint8), frame)
        writer.add(frame.pixels, frame)
    (tmp_path / "a.mp4").unlink()
    for target, options, said in (
        ("out.xyz", {}, "does not write .xyz"),
        ("out.mp4", {"fps": Fraction(0)}, "more than 0"),
        ("missing/out.mp4", {}, "nothing can be written"),
        ("shots/%04d.jpg", {}, "PNG"),
    ):
        with pytest.raises(RequestError, match=said):
            copied(source, tmp_path / target, **options)
    with (
        pytest.raises(RequestError, match="no frame was written"),
        writing(tmp_path / "b.mp4", source, Window(), record=None),
    ):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["in.mp4"]


def test_another_size_and_rate_can_be_written(tmp_path):
    source = opened(made(tmp_path / "in.mp4", Recipe()))
    clip = read(source, Window(size=(24, 32)))
    with writing(tmp_path / "out.mp4", source, Window(), size=(24, 32), record=None, fps=Fraction(12)) as writer:
        for small, like in zip(clip.frames, frames(source, Window()), strict=True):
            writer.add(small, like)
    back = opened(tmp_path / "out.mp4")
    assert (back.size, back.fps, back.num_frames) == ((24, 32), 12, len(clip))
