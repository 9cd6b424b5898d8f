"""Files from the world: each is read in full or refused in one line; what is written keeps shape and times."""

import csv
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from recast.errors import MediaError
from recast.video.read import Source, Window, frames, opened
from recast.video.write import writing

pytestmark = pytest.mark.footage

REFUSED = {"io/vvc_unsupported.mp4", "io/indeo4_yuv410_flame.avi"}
# Files whose frames are few or cheap enough to count them all here.
COUNTED_PIXELS = 20_000_000


@cache
def known(path: Path) -> Source:
    """A file that several tests look at, opened once."""
    return opened(path)


def manifest(footage: Path) -> list[dict[str, str]]:
    with (footage / "MANIFEST.csv").open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["file"].startswith(("io/", "clips/"))]


def test_every_file_is_read_or_refused_in_one_line(footage):
    for row in manifest(footage):
        path = footage / row["file"]
        if row["file"] in REFUSED:
            with pytest.raises(MediaError, match=r"^[^\n]*does not read[^\n]*$"):
                opened(path)
            continue
        source = known(path)
        seen = list(frames(source, Window(max_frames=2)))
        assert {tuple(frame.pixels.shape[-2:]) for frame in seen} == {source.size}
        assert all(later.pts > earlier.pts for earlier, later in pairwise(seen))


def test_sizes_and_turns_are_as_counted_by_hand(footage):
    for row in manifest(footage):
        # One file holds two videos, and the row tells of the smaller one.
        if row["file"] in REFUSED or "multi_2video" in row["file"]:
            continue
        source = known(footage / row["file"])
        turn = int(row["rotation"] or 0)
        rows, columns = int(row["height"]), int(row["width"])
        assert source.size == ((columns, rows) if turn % 180 else (rows, columns)), row["file"]
        assert source.rotation == -turn % 360, row["file"]


def test_short_files_are_read_to_their_end(footage):
    for row in manifest(footage):
        few = row["frames"].isdigit() and int(row["frames"]) * int(row["width"]) * int(row["height"]) <= COUNTED_PIXELS
        if row["file"] in REFUSED or "multi_2video" in row["file"] or not few:
            continue
        source = known(footage / row["file"])
        assert sum(1 for _ in frames(source, Window())) == int(row["frames"]), row["file"]


@pytest.mark.parametrize(
    "name",
    [
        "io/rot090_mirror_man.mp4",
        "io/rot090_iphone-portrait.MOV",
        "io/odd161x121_vp9_bear.webm",
        "io/mkv_timestamps-1000fps_ac3.mkv",
        "io/audio-pcm_man.mp4",
        "io/mpeg4_mp3_gannets.avi",
        "io/vfr_webcam-note.mov",
        "io/vp8_vorbis_flower.webm",
        "io/mpeg2_ts_man.ts",
        "io/flv_man.flv",
        "io/gif_newtonscradle.gif",
    ],
)
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_window_written_and_read_again_keeps_times_and_shape(footage, tmp_path, name, ending):
    source, window = opened(footage / name), Window(max_frames=4)
    kept = list(frames(source, window))
    with writing(tmp_path / f"out.{ending}", source, window, record=None) as writer:
        for frame in kept:
            writer.add(frame.pixels, frame)
    back = opened(tmp_path / f"out.{ending}")
    again = list(frames(back, Window()))
    assert (back.size, back.sample_aspect, back.rotation) == (source.size, source.sample_aspect, 0)
    assert back.has_sound == source.has_sound
    tolerance = source.time_base + Fraction(1, 1000)
    assert len(again) == len(kept)
    assert all(abs(a.seconds - b.seconds) <= tolerance for a, b in zip(kept, again, strict=True))


def test_interlaced_frames_are_made_whole_and_all_there(footage):
    source = opened(footage / "io/derived/interlaced_576i25_tff.mpg")
    assert source.interlaced
    assert sum(1 for _ in frames(source, Window())) == 50


def test_hdr_and_transparency_are_noted(footage):
    for name, part in (
        ("io/hlg_hevc_10bit_rot90_editlist.mp4", "HDR"),
        ("io/alpha_vp8_dancer.webm", "black"),
        ("io/derived/alpha_prores4444.mov", "black"),
        ("io/derived/alpha_rgba_png", "black"),
    ):
        assert any(part in note for note in opened(footage / name).notes), name
