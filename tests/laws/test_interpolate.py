"""Frames between frames: closed forms of motion and of hiding, times and sound of files, and models held to keys."""

import json
from fractions import Fraction
from functools import partial
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close
from video_files import SourceSpec, made

from cogvideox_folder import write_cogvideox
from ltx_folder import write_ltx
from modelscope_folder import write_modelscope
from recast.backbones.tiny import write_stable_diffusion
from recast.cli.app import run
from recast.conditions.interpolation import FrameGap, in_between
from recast.conditions.propagation import midpoint
from recast.editing.held_keys import _write_mask
from recast.editing.interpolate import Rate
from recast.editing.mask import Mask
from recast.errors import RequestError
from recast.evaluation.cases.worlds import case
from recast.types import Clip
from recast.video.read import Window, frames, opened, read
from recast.video.record import embedded
from recast.video.write import save_clip
from wan_folder import write_wan

HALF = Fraction(1, 2)


def textured(rows, columns, seed):
    """A picture of 3 channels, 0..255, with detail of six pixels."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, rows // 6, columns // 6, generator=rng) * 255
    return F.interpolate(coarse, (rows, columns), mode="bicubic", align_corners=False).clamp(0, 255)


def panned(right, down):
    """A window of 64x96 pixels on a picture, moved by whole pixels."""
    return textured(120, 180, 0)[:, :, 20 + down : 84 + down, 30 + right : 126 + right].round().byte()


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_what_moves_evenly_is_shifted_by_its_share_of_the_way(quarters):
    between = FrameGap.of(panned(0, 0), panned(8, 4)).at(Fraction(quarters, 4))
    inner = (..., slice(8, -8), slice(8, -8))
    assert_close(between[inner], panned(2 * quarters, quarters)[inner], atol=1, rtol=0)


def test_the_ends_are_the_frames_and_nothing_between_equal_ones():
    one, other = panned(0, 0), panned(8, 4)
    gap = FrameGap.of(one, other)
    assert torch.equal(gap.at(0), one)
    assert torch.equal(gap.at(1), other)
    assert torch.equal(FrameGap.of(one, one).at(HALF), one)


def square_at(left):
    """A square of 40 pixels before a still background."""
    frame = textured(96, 144, 1)
    frame[:, :, 28:68, left : left + 40] = 0.5 * textured(40, 40, 2) + torch.tensor([127.0, 0, 0])[:, None, None]
    return frame.round().byte()


def test_what_hides_and_what_comes_out_is_taken_from_the_frame_that_shows_it():
    """By true flow the frame between is exact: the ground before the square from one frame, behind it from the other.

    The mean of both warped halfway, which knows no hiding, is far from it.
    """
    onward, back = torch.zeros(2, 1, 2, 96, 144)
    onward[:, 0, 28:68, 40:80], back[:, 0, 28:68, 52:92] = 12, -12
    one, truth, other = (square_at(left) for left in (40, 46, 52))
    assert torch.equal(FrameGap(one, other, onward, back).at(HALF), truth)
    assert (midpoint(one, other) - truth).abs().max() > 50


def psnr(one, other):
    return float(-10 * ((one.float() - other.float()) / 255).square().mean().log10())


def test_in_worlds_it_is_nearer_to_the_frame_between_than_the_mean_and_than_repetition():
    """Every second frame of six worlds, against the world's own."""
    gains = []
    for number in range(6):
        clip = torch.from_numpy(case(number, 128, 5).source.frames).permute(0, 3, 1, 2).contiguous()
        for one, truth, other in zip(clip[:-2:2], clip[1::2], clip[2::2], strict=True):
            between = FrameGap.of(one[None], other[None]).at(HALF)[0]
            mean = ((one.float() + other.float()) / 2).round()
            gains.append([psnr(between, truth) - psnr(plain, truth) for plain in (mean, one)])
    over_mean, over_repetition = torch.tensor(gains).mean(0)
    assert over_mean > 2.5
    assert over_repetition > 4.5


def test_picks_are_made_in_order_and_keys_are_as_they_were():
    keys = torch.cat([panned(0, 0), panned(8, 4), panned(16, 8)])
    picks = [(0, Fraction(0)), (0, HALF), (1, Fraction(0)), (1, Fraction(1, 4)), (1, HALF)]
    shown = torch.cat(list(in_between(keys, picks)))
    assert torch.equal(shown[[0, 2]], keys[:2])
    inner = (..., slice(12, -12), slice(20, -20))
    expected = torch.cat([panned(4, 2), panned(10, 5), panned(12, 6)])
    assert_close(shown[[1, 3, 4]][inner], expected[inner], atol=1, rtol=0)


@pytest.fixture
def clip(tmp_path):
    """A folder of four pictures of a pan, 12 a second."""
    save_clip(Clip(torch.cat([panned(4 * n, 2 * n) for n in range(4)]), Fraction(12)), tmp_path / "clip")
    return tmp_path / "clip"


AS_ONE = ["--cuts", "none", "-q"]
"""Pans of such pictures are taken for cuts."""


def shown(path):
    return read(opened(path), Window())


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_a_clip_is_kept_frame_for_frame_with_others_between(clip, tmp_path, factor):
    assert run(["interpolate", str(clip), "--factor", str(factor), "-o", str(tmp_path / "out"), *AS_ONE]) == 0
    made, source = shown(tmp_path / "out"), shown(clip)
    assert (made.fps, len(made)) == (12 * factor, 4 * factor)
    assert torch.equal(made.frames[::factor], source.frames)
    # Nothing comes after the last one, which is held for as long as it was.
    assert torch.equal(made.frames[-factor:], source.frames[-1:].expand(factor, -1, -1, -1))
    assert made.seconds == source.seconds


def test_another_rate_takes_frames_where_they_fall_on_its_times(clip, tmp_path):
    assert run(["interpolate", str(clip), "--rate", "30", "-o", str(tmp_path / "out"), *AS_ONE]) == 0
    made, source = shown(tmp_path / "out"), shown(clip)
    assert (made.fps, len(made)) == (30, 10)
    assert torch.equal(made.frames[5], source.frames[2])
    inner = (..., slice(8, -8), slice(12, -12))
    # 1/30 s is 2/5 of the way, and 3/30 s a fifth of the next one.
    for number, (key, share) in {1: (0, Fraction(2, 5)), 3: (1, Fraction(1, 5))}.items():
        [expected] = in_between(source.frames, [(key, share)])
        assert torch.equal(made.frames[number][inner], expected[0][inner])


def test_shots_are_apart(tmp_path):
    """Across a cut the nearer frame stands; in the middle that is the next one."""
    one, other = panned(0, 0), 255 - panned(40, 20)
    save_clip(Clip(torch.cat([one, one, one, other, other, other]), Fraction(12)), tmp_path / "clip")
    made = ["interpolate", str(tmp_path / "clip"), "-q", "-o"]
    assert run([*made, str(tmp_path / "out")]) == 0
    assert torch.equal(shown(tmp_path / "out").frames[5], other[0])
    assert run([*made, str(tmp_path / "whole"), "--cuts", "none"]) == 0
    assert not torch.equal(shown(tmp_path / "whole").frames[5], other[0])


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("times", [tuple(range(0, 9009, 1001)), (0, 1001, 3003, 3500, 6006, 7007)], ids=["even", "odd"])
def test_times_and_sound_of_a_file_are_kept(tmp_path, times, factor):
    source = opened(made(tmp_path / "in.mp4", SourceSpec(times=times, sound="aac")))
    assert run(["interpolate", str(source.path), "--factor", str(factor), "-o", str(tmp_path / "out.mp4"), "-q"]) == 0
    result = opened(tmp_path / "out.mp4")
    before, after = ([each.seconds for each in frames(one, Window())] for one in (source, result))
    assert after[::factor] == before
    for begin, end in pairwise(before):
        held = [time for time in after if begin <= time < end]
        assert held == [begin + (end - begin) * part / factor for part in range(factor)]
    assert (result.size, result.sound_codec, result.constant) == (source.size, "aac", source.constant)
    assert abs(float(result.seconds - source.seconds)) < 1 / 1000
    assert run(["rerun", str(tmp_path / "out.mp4"), "-q"]) == 0
    assert (tmp_path / "out-again.mp4").read_bytes() == (tmp_path / "out.mp4").read_bytes()


@pytest.mark.parametrize("write", [write_modelscope, partial(write_wan, vace=True)], ids=["modelscope", "vace"])
def test_a_model_makes_what_is_between_and_the_frames_are_as_they_were(clip, tmp_path, write):
    """More of them than go through at once: three in a window of five, of four."""
    model, words = write(tmp_path / "model"), ["-p", "a red ball", "--steps", "2", "--window", "5"]
    asked = ["interpolate", str(clip), "-m", str(model), *words, *AS_ONE, "-o"]
    assert run([*asked, str(tmp_path / "out")]) == 0
    assert run(["interpolate", str(clip), *AS_ONE, "-o", str(tmp_path / "flow")]) == 0
    made, source, flow = (shown(path).frames for path in (tmp_path / "out", clip, tmp_path / "flow"))
    assert torch.equal(made[::2], source)
    assert not any(torch.equal(one, other) for one, other in zip(made[1:-1:2], flow[1:-1:2], strict=True))
    record = json.loads(embedded(tmp_path / "out"))
    assert record["digital_source_type"].endswith("compositeWithTrainedAlgorithmicMedia")
    assert record["model"]["name"] == str(model)


def test_the_mask_of_a_model_is_black_where_frames_are_the_clips_own(tmp_path):
    _write_mask(tmp_path, torch.zeros(7, 3, 8, 12, dtype=torch.uint8), 3)
    edited = torch.stack(list(Mask(tmp_path, (8, 12)).frames(0, 7)))
    assert edited.amax((1, 2)).tolist() == edited.amin((1, 2)).tolist() == [0, 1, 1, 0, 1, 1, 0]


def test_what_cannot_be_is_said_in_a_line(clip, tmp_path, capsys):
    refused = {
        "names both, a factor and a rate": (["--factor", "2", "--rate", "60"], "both a factor and a rate"),
        "no rate": (["--rate", "fast"], "'fast' is no rate"),
        "none": (["--factor", "0"], "a factor of 0"),
        "too fast": (["--rate", "2000"], "2000 frames a second, from 12 a second; give more than 0 and at most 1000"),
        "words for nobody": (["-p", "a dog"], "--prompt is for a model"),
        "knobs for nobody": (["--set", "overlap=0.25"], "--set overlap is for a model"),
        "a size for nobody": (["--size", "64"], "--size is for a model"),
        "no words": (["-m", str(write_modelscope(tmp_path / "ms"))], "nothing says what the clip should look like"),
        "a part": (["--set", "max_frames=2"], "the whole clip gets another rate, and max frames is of a part"),
        "frame by frame": (["-m", str(write_stable_diffusion(tmp_path / "sd")), "-p", "x"], "sees single frames"),
        "shared": (["-m", str(write_ltx(tmp_path / "ltx")), "-p", "x"], "4 frames share a latent of this model"),
        "the first": (
            ["-m", str(write_cogvideox(tmp_path / "cog", picture=True)), "-p", "x"],
            "held to a clip's first frame alone",
        ),
        "a rate": (["-m", str(tmp_path / "ms"), "-p", "x", "--rate", "60"], "say --factor N, not --rate"),
        "narrow": (["-m", str(tmp_path / "ms"), "-p", "x", "--window", "2"], "two with 1 between are more"),
        "cuts": (["--cuts", "odd"], "odd"),
    }
    for flags, line in refused.values():
        assert run(["interpolate", str(clip), *flags, "-q", "-o", str(tmp_path / "out.mp4")]) != 0
        assert line in capsys.readouterr().err
        assert not (tmp_path / "out.mp4").exists()
    with pytest.raises(RequestError, match="nothing says how many"):
        Rate()
