"""A clip's own alpha: laid on black, refused before the work, or kept as it is, and what is seen on black with it."""

from dataclasses import replace

import av
import numpy as np
import pytest
import torch
from PIL import Image
from video_files import noise

from recast.cli.app import run
from recast.editing.checks import treated
from recast.editing.edit import edit
from recast.editing.loaded import Model
from recast.editing.request import Request
from recast.errors import Cancelled, MediaError, RequestError
from recast.video.colour import ALPHA_KEPT, TRANSPARENT, as_frame, off_black, on_black
from recast.video.read import Window, frames, opened
from recast.video.write import writing
from tiny_folder import written

COUNT, SIZE = 11, (40, 52)
LOSSLESS = [("out", "auto"), ("out", "png16"), ("out.mkv", "ffv1"), ("out.mkv", "auto"), ("out.avi", "ffv1")]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Frames of straight alpha, every opacity among them, a third of each opaque."""
    rng = np.random.default_rng(0)
    made = rng.integers(0, 256, (COUNT, *SIZE, 4), dtype=np.uint8)
    made[:, : SIZE[0] // 3, :, 3] = 255
    folder = tmp_path_factory.mktemp("clear") / "clip"
    folder.mkdir()
    for number, picture in enumerate(made):
        Image.fromarray(picture).save(folder / f"{number:03d}.png")
    return folder, made


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Model.loaded(str(written(tmp_path_factory.mktemp("model"))))


def kept(path):
    return treated(opened(path), Request.asked(alpha="keep"))


def seen(path, *, alpha=False, window=None):
    source = replace(opened(path), alpha=alpha)
    shown = torch.stack([frame.pixels for frame in frames(source, window or Window())])
    return shown[:, 0] if alpha else shown


def copied(source, target, window=None, **options):
    window = window or Window()
    with writing(target, source, window, record=None, **options) as writer:
        for frame in frames(source, window):
            writer.add(frame.pixels, frame)
    return target


def in_a_video(path, made, codec, form):
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=25, options={"profile": "4444"} if codec == "prores_ks" else {})
        stream.height, stream.width, stream.pix_fmt = *SIZE, form
        for picture in made:
            # In more threads FFmpeg's fast scaler writes beyond its rows (docs/log.md, 2026-11-30).
            file.mux(stream.encode(as_frame(picture).reformat(format=form, threads=1)))
        file.mux(stream.encode(None))
    return path


def test_straight_colours_lie_on_black_as_they_were_for_every_value_and_opacity():
    value, opacity = np.mgrid[:256, :256].astype(np.uint8)
    image = np.repeat(value[..., None], 3, axis=-1)
    straight = off_black(image, opacity)
    assert np.array_equal(straight[..., 3], opacity)
    assert np.array_equal(on_black(straight), np.minimum(image, opacity[..., None]))
    assert np.array_equal(straight[:, 255, :3], image[:, 255])


@pytest.mark.parametrize(("name", "codec"), LOSSLESS)
def test_alpha_is_the_sources_bit_for_bit_and_so_is_what_is_opaque(pictures, tmp_path, name, codec):
    folder, made = pictures
    target = copied(kept(folder), tmp_path / name, codec=codec)
    assert np.array_equal(seen(target, alpha=True).numpy(), made[..., 3])
    assert torch.equal(seen(target), seen(folder))
    opaque = made[..., 3] == 255
    assert np.array_equal(seen(target).permute(0, 2, 3, 1).numpy()[opaque], made[..., :3][opaque])


@pytest.mark.parametrize("name", ["out.mov", "out.mkv"])
def test_prores_codes_colours_and_keeps_alpha_bit_for_bit(pictures, tmp_path, name):
    folder, made = pictures
    target = copied(kept(folder), tmp_path / name, codec="auto" if name == "out.mov" else "prores4444")
    assert opened(target).codec == "prores"
    assert np.array_equal(seen(target, alpha=True).numpy(), made[..., 3])


@pytest.mark.parametrize(("name", "codec", "form"), [("a.mkv", "ffv1", "bgra"), ("a.mov", "prores_ks", "yuva444p10le")])
def test_alpha_of_videos_is_kept_from_any_frame_on(pictures, tmp_path, name, codec, form):
    made = pictures[1]
    source = in_a_video(tmp_path / name, made, codec, form)
    assert np.array_equal(seen(source, alpha=True).numpy(), made[..., 3])
    target = copied(kept(source), tmp_path / "out", Window(start=0.12, max_frames=4))
    assert np.array_equal(seen(target, alpha=True).numpy(), made[3:7, ..., 3])


def test_an_animated_webp_keeps_its_alpha_or_tells_that_it_lies_on_black(pictures, tmp_path):
    first, *others = [Image.fromarray(picture) for picture in pictures[1]]
    first.save(tmp_path / "a.webp", save_all=True, append_images=others, lossless=True, exact=True)
    assert TRANSPARENT in opened(tmp_path / "a.webp").notes
    target = copied(kept(tmp_path / "a.webp"), tmp_path / "out.mkv")
    assert np.array_equal(seen(target, alpha=True).numpy(), pictures[1][..., 3])


def test_alpha_that_a_later_picture_begins_with_is_found(pictures, tmp_path):
    made, folder = pictures[1], tmp_path / "mixed"
    folder.mkdir()
    Image.fromarray(made[0, ..., :3]).save(folder / "0.png")
    (folder / "1.png").write_bytes(b"no picture")
    Image.fromarray(made[2]).save(folder / "2.png")
    source = opened(folder, "repeat")
    assert not source.transparent
    with pytest.raises(MediaError, match="the clip has alpha"):
        treated(source, Request.asked(alpha="refuse"))
    target = copied(treated(source, Request.asked(alpha="keep")), tmp_path / "out")
    opaque = np.full_like(made[:2, ..., 3], 255)
    assert np.array_equal(seen(target, alpha=True).numpy(), np.concatenate([opaque, made[2:3, ..., 3]]))


def test_what_is_asked_stands_in_the_notes_and_is_nothing_to_a_clip_without_alpha(pictures, tmp_path):
    source = opened(pictures[0])
    assert treated(source, Request.asked()) is source
    assert TRANSPARENT in source.notes
    assert ALPHA_KEPT in kept(pictures[0]).notes
    assert TRANSPARENT not in kept(pictures[0]).notes
    with pytest.raises(MediaError, match="the clip has alpha, which was to be refused; --alpha black lays it on black"):
        treated(source, Request.asked(alpha="refuse"))
    plain = opened(noise(tmp_path / "a.mp4", count=2))
    assert all(treated(plain, Request.asked(alpha=alpha)) is plain for alpha in ("black", "keep", "refuse"))
    with pytest.raises(RequestError, match="alpha is 'green'; it should be 'black', 'keep' or 'refuse'"):
        Request.asked(alpha="green")


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "auto"), ("a.mkv", "h264"), ("a.webm", "vp9"), ("a.gif", "auto")]
)
def test_outputs_without_alpha_are_refused_before_a_model_is_opened(pictures, tmp_path, capsys, name, codec):
    asked = ["edit", str(pictures[0]), "-p", "snow", "-m", str(tmp_path / "none"), "-q", "-o", str(tmp_path / name)]
    assert run([*asked, "--codec", codec, "--alpha", "keep"]) == 2
    error = capsys.readouterr().err
    assert "carries no alpha here; what does: a folder of PNG files (OUT/), ffv1 in mkv and avi" in error
    assert error.count("\n") == 1
    assert run([*asked, "--alpha", "refuse"]) == 2
    assert "the clip has alpha, which was to be refused" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("segment", [6, 64])
def test_an_edit_in_segments_or_as_one_keeps_alpha_also_where_it_was_stopped(pictures, model, tmp_path, segment):
    folder, made = pictures
    asked = {"source": folder, "prompt": "a red ball", "steps": 1, "ensemble": 1, "segment": segment, "start": 1 / 24}
    request = Request.asked(**asked, target=tmp_path / "out.mkv", alpha="keep")

    def stop(stage, done, _total):
        if stage == "write" and done:
            raise KeyboardInterrupt

    with pytest.raises((Cancelled, KeyboardInterrupt)):
        edit(request, model, stop)
    edit(request, model)
    edit(Request.asked(**asked, target=tmp_path / "black.mkv", codec="ffv1"), model)
    opacity = seen(request.target, alpha=True)
    assert np.array_equal(opacity.numpy(), made[1:, ..., 3])
    edited = seen(tmp_path / "black.mkv")
    assert torch.equal(seen(request.target), torch.minimum(edited, opacity[:, None]))


def test_a_rerun_keeps_it_and_masks_leave_what_is_seen_outside(pictures, model, tmp_path, monkeypatch):
    folder, made = pictures
    monkeypatch.chdir(tmp_path)
    asked = ["edit", str(folder), "-p", "a red ball", "-m", model.name, "--steps", "1", "--set", "ensemble=1"]
    assert (
        run([*asked, "--alpha", "keep", "--mask", "alpha", "--edit", "outside", "--feather", "0", "-o", "a.mkv"]) == 0
    )
    assert run(["rerun", "a.mkv", "-o", "b.mkv", "--trust", "-q"]) == 0
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()
    opaque = made[..., 3] == 255
    assert np.array_equal(seen("b.mkv", alpha=True).numpy(), made[..., 3])
    assert np.array_equal(seen("b.mkv").permute(0, 2, 3, 1).numpy()[opaque], made[..., :3][opaque])


def test_frames_between_frames_have_no_alpha_to_keep(pictures, tmp_path, capsys):
    asked = ["interpolate", str(pictures[0]), "--factor", "2", "-o", str(tmp_path / "out.mkv")]
    assert run([*asked, "--alpha", "keep"]) == 2
    assert "no alpha of the source's to keep; say --alpha black" in capsys.readouterr().err
    assert run([*asked, "--alpha", "refuse"]) == 2
    assert "the clip has alpha, which was to be refused" in capsys.readouterr().err
