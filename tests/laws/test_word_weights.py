"""A word that counts for more or less over the clip, and by a sound: AADiff, arXiv:2305.04001."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from test_sound_schedules import FPS, tone, wav
from torch.testing import assert_close

import recast
from animatediff_folder import write_animatediff
from pipelines import drawn, opened
from recast.backbones.tiny import write_stable_diffusion
from recast.cli.app import run
from recast.conditions.content import ContentInput, Medium
from recast.conditions.sound import averaged, loudness
from recast.denoising import Branch
from recast.editing.schedules import schedule_of
from recast.errors import RequestError
from recast.methods.word_weights import weighed
from recast.networks.hooks import SiteKind
from recast.types import Condition
from recast.video.waveform import Waveform
from tiny_folder import written

WORDS, BALL = "a red ball", {"weigh_word": "ball"}
ASKED = {"prompt": WORDS, "steps": 2, "frames": 4, "fps": 8, "size": (32, 32), "seed": 4}
pytestmark = pytest.mark.filterwarnings("ignore::recast.errors.RecastWarning")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_stable_diffusion(tmp_path_factory.mktemp("words") / "model")


@pytest.fixture(scope="module")
def editor(path):
    return recast.load(path)


class MapsTimes:
    """Prompt-to-Prompt's own arithmetic: maps, multiplied, weigh the values."""

    def __init__(self, tokens, weight, branch):
        self.tokens, self.weight, self.branch = list(tokens), weight, branch

    def interested(self, _site, kind):
        return kind is SiteKind.CROSS

    def __call__(self, call, attend):
        if call.branch != self.branch:
            return attend(call)
        maps = call.probabilities()
        maps[..., self.tokens] *= self.weight
        return call.weighted(maps)


def test_it_is_maps_multiplied_in_the_branch_of_the_wanted_content_alone(path):
    backbone = opened(path)
    words = backbone.encode_content([ContentInput(Medium.WORDS, WORDS)])
    condition = Condition(words, backbone.null_tokens(), frames=torch.arange(3))
    branches = [Branch(condition.uncond), Branch(condition.cond)]
    x, tokens = drawn(3, 4, 4, 4, seed=0), (3,)
    weights = lambda frames: torch.full((len(frames),), 2.5)  # noqa: E731 -- a line in a test
    with torch.no_grad():
        plain = backbone.denoise_branches(x, 2.0, condition, branches)
        ours = weighed(backbone, tokens, weights)(x, 2.0, condition, branches)
        with backbone.hooked(MapsTimes(tokens, 2.5, branch=1)):
            theirs = backbone.denoise_branches(x, 2.0, condition, branches)
    assert torch.equal(ours[0], plain[0])
    assert_close(ours[1], theirs[1], atol=1e-5, rtol=1e-5)
    assert (ours[1] - plain[1]).abs().max() > 1e-3


def test_frames_of_weight_one_are_the_plain_clip_bit_for_bit_and_others_follow_the_sound(editor, tmp_path):
    beat = wav(tmp_path / "beat.wav", tone([0.0, 0.8, 0.0, 0.4]))
    plain = editor.generate(**ASKED).frames
    driven = editor.generate(**ASKED, **BALL, schedules={"word_weight": f"sound(loudness of {beat}, 1..20)"}).frames
    apart = (driven.float() - plain.float()).abs().mean((1, 2, 3))
    assert apart[0] == apart[2] == 0
    assert apart[1] > apart[3] > 0
    constant = editor.generate(**ASKED, **BALL, word_weight=20).frames
    assert torch.equal(constant[1], driven[1])


def test_an_edit_follows_it_too_and_a_sixfold_weight_is_no_schedule(path, tmp_path):
    beat = wav(tmp_path / "beat.wav", tone([0.0, 0.8, 0.0, 0.4]))
    clip = recast.Clip(torch.randint(0, 256, (4, 3, 32, 48), dtype=torch.uint8), FPS)
    asked = {"prompt": WORDS, "method": "sdedit", "strength": 1.0, "steps": 2, "size": 32, "cuts": "none"}
    editor = recast.load(path)
    plain = editor(clip, **asked).frames
    driven = editor(clip, **asked, **BALL, schedules={"word_weight": f"sound(loudness of {beat}, 1..20)"}).frames
    apart = (driven.float() - plain.float()).abs().mean((1, 2, 3))
    assert apart[0] == apart[2] == 0
    assert apart[1] > apart[3] > 0


def test_frames_that_see_each_other_stay_one_clip(tmp_path):
    """Where layers over time are, a frame of weight 1 is moved by its neighbours: nothing is pasted."""
    editor = recast.load(write_animatediff(tmp_path / "model"))
    schedule = {"word_weight": "hold 0: 1, 2: 20"}
    plain, driven = (editor.generate(**ASKED, **more).frames for more in ({}, {**BALL, "schedules": schedule}))
    apart = (driven.float() - plain.float()).abs().mean((1, 2, 3))
    assert (apart > 0).all()


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        (BALL, "word_weight is 1 and weigh_word is 'ball'; one does nothing without the other"),
        ({"word_weight": 4.0}, "word_weight is 4 and weigh_word is ''"),
        ({"schedules": {"word_weight": "0: 1, 2: 3"}}, "word_weight is a schedule and weigh_word is ''"),
        ({"weigh_word": "cat", "word_weight": 4.0}, "the prompt has no word 'cat'; it has a, red, ball"),
        ({**BALL, "word_weight": 4.0, "prompt": (WORDS, "snow")}, "no prompt is read word by word here"),
        ({**BALL, "schedules": {"word_weight": "0: 1, 2: 300"}}, "word_weight"),
    ],
)
def test_what_does_nothing_or_cannot_be_is_refused(editor, more, wrong):
    with pytest.raises(RequestError, match=wrong.replace("'", ".")):
        editor.generate(**ASKED | more)


def test_a_network_of_one_token_has_no_words_to_weigh(tmp_path):
    with pytest.raises(RequestError, match="no prompt is read word by word here"):
        recast.load(written(tmp_path / "gen1")).generate(**ASKED, **BALL, word_weight=4, flat_structure=True)


def test_a_feature_is_averaged_over_frames_around_each(tmp_path):
    levels = np.array([0.0, 0.8, 0.0, 0.4, 0.0])
    found = averaged(loudness(Waveform(tone(levels), 0.0), FPS), 3)
    expected = [np.mean(levels[max(0, at - 1) : at + 2]) / 0.8 for at in range(5)]
    assert_allclose(found, expected, atol=0.01)
    assert_allclose(averaged(levels, 1), levels)
    assert_allclose(averaged(levels, 99), np.full(5, levels.mean()))
    assert_allclose(averaged(np.ones(7), 4), np.ones(7))
    beat = wav(tmp_path / "beat.wav", tone(levels))
    text = f"sound(loudness over 3 of {beat}, 0..2)"
    assert schedule_of("word_weight", text).text == text
    curve = schedule_of("word_weight", text).curve(FPS, None)
    assert_allclose([curve(frame) for frame in range(5)], 2 * np.array(expected), atol=0.02)
    with pytest.raises(RequestError, match="averages over 0 frames; it should be 1 to 1000"):
        schedule_of("word_weight", "sound(loudness over 0, 0..2)")


def test_the_command_makes_a_clip_whose_word_follows_a_sound(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wav(tmp_path / "beat.wav", tone([0.1, 0.9, 0.3, 0.7]))
    schedule = ["--schedule", "word_weight=sound(loudness over 3 of beat.wav, 1..8)", "--set", "weigh_word=ball"]
    asked = ["generate", "-p", WORDS, "-m", str(path), "--noise", "shared", "--steps", "2", "--frames", "4"]
    assert run([*asked, "--size", "32x32", *schedule, "-q", "-o", "out.mp4"]) == 0
