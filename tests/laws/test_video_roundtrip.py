"""What is written is read back: count, times, size, rate, sound, colours and the run's record."""

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch
from video_files import NTSC, RECORD, SourceSpec, copied, made

import recast
from recast.types import Clip
from recast.video.read import Window, frames, opened
from recast.video.record import embedded
from recast.video.write import save_clip, writing

VARYING = (0, 1001, 5000, 5001, 9000, 31000)


def sounds(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


RECIPES = {
    "plain": SourceSpec(),
    "odd": SourceSpec(size=(121, 161)),
    "varying": SourceSpec(times=VARYING),
    "single": SourceSpec(times=(0,)),
    "turned": SourceSpec(size=(48, 80), turned=90),
    "upside-down": SourceSpec(turned=180),
    "sounding": SourceSpec(sound="aac"),
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
    plain = next(frames(opened(made(tmp_path / "plain.mp4", SourceSpec())), Window())).pixels
    for degrees, quarter_turns in ((90, 1), (180, 2), (270, 3)):
        source = opened(made(tmp_path / f"{degrees}.mp4", SourceSpec(turned=degrees)))
        turned = next(frames(source, Window())).pixels
        assert torch.equal(turned, torch.rot90(plain, quarter_turns, (-2, -1)))
        assert source.rotation == (360 - degrees) % 360
        assert not source.mirrored


def test_a_window_of_sound_starts_with_its_first_frame(tmp_path):
    source = opened(made(tmp_path / "in.mp4", SourceSpec(sound="aac", times=tuple(range(0, 30030, 1001)))))
    kept = copied(source, tmp_path / "out.mp4", Window(start=0.5, end=0.8))
    with av.open(str(tmp_path / "in.mp4")) as before, av.open(str(tmp_path / "out.mp4")) as after:
        whole = {bytes(packet): packet.pts * packet.time_base for packet in before.demux(audio=0) if packet.size}
        part = [(bytes(packet), packet.pts * packet.time_base) for packet in after.demux(audio=0) if packet.size]
    assert len(part) > 10
    for data, time in part:
        assert abs(whole[data] - kept[0].seconds - time) < Fraction(1, 20000)


def test_sound_that_webm_refuses_becomes_opus_and_is_noted(tmp_path):
    source = opened(made(tmp_path / "in.mp4", SourceSpec(sound="aac")))
    with writing(tmp_path / "out.webm", source, Window(), record=None) as writer:
        for frame in frames(source, Window()):
            writer.add(frame.pixels, frame)
    assert opened(tmp_path / "out.webm").sound_codec == "opus"
    assert any("aac to opus" in note for note in writer.notes)


@pytest.mark.parametrize("target", ["shots", "shots/frame_%03d.png"])
def test_pictures_come_back_bit_for_bit(tmp_path, target):
    source = opened(made(tmp_path / "in.mp4", SourceSpec(size=(31, 43))))
    kept = copied(source, tmp_path / target)
    back = opened(tmp_path / target)
    again = list(frames(back, Window()))
    assert back.fps == source.fps
    assert [frame.seconds for frame in again] == [frame.seconds for frame in kept]
    assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(kept, again, strict=True))


@pytest.mark.parametrize("target", ["out.mp4", "out.mov", "out.mkv", "out.webm", "out.avi", "out.gif", "out"])
def test_the_record_comes_back_and_bytes_are_the_same_each_time(tmp_path, target):
    source = opened(made(tmp_path / "in.mp4", SourceSpec(sound="aac")))
    written = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        copied(source, tmp_path / folder / target)
        assert embedded(tmp_path / folder / target) == RECORD
        files = sorted(file for file in (tmp_path / folder).rglob("*") if file.is_file())
        written.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])
    assert written[0] == written[1]


def test_a_clip_from_memory_comes_back(tmp_path):
    clip = Clip(torch.randint(0, 256, (3, 3, 31, 42), generator=torch.manual_seed(0), dtype=torch.uint8), NTSC)
    save_clip(clip, tmp_path / "shots")
    back = recast.open_clip(tmp_path / "shots")
    assert torch.equal(back.frames, clip.frames)
    assert back.fps == clip.fps
    save_clip(clip, tmp_path / "out.mp4")
    assert [frame.seconds for frame in frames(opened(tmp_path / "out.mp4"), Window())] == [0, 1 / NTSC, 2 / NTSC]


def test_a_file_of_others_has_no_record(tmp_path):
    assert embedded(made(tmp_path / "in.mp4", SourceSpec())) is None


def test_another_rate_can_be_written(tmp_path):
    source = opened(made(tmp_path / "in.mp4", SourceSpec()))
    with writing(tmp_path / "out.mp4", source, Window(), record=None, fps=Fraction(12)) as writer:
        for frame in frames(source, Window()):
            writer.add(frame.pixels, frame)
    back = opened(tmp_path / "out.mp4")
    assert (back.size, back.fps, back.num_frames) == (source.size, 12, source.num_frames)
