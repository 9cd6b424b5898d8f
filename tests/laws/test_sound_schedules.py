"""Settings that follow a sound: a sound of known loudness gives the known curve, and the edit that it asks for."""

import json
import wave
from fractions import Fraction

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import recast
from recast.backbones.tiny import write_stable_diffusion
from recast.cli.app import run
from recast.conditions.blend import tokens_over
from recast.conditions.sound import band, loudness, onsets
from recast.editing.request import Request
from recast.editing.schedules import files_in, schedule_of, with_whole_paths
from recast.errors import MediaError, RequestError
from recast.types import Clip
from recast.video.isolated import waveform_of
from recast.video.waveform import RATE, Waveform
from recast.video.write import save_clip
from tiny_folder import clip_folder, written

FPS = Fraction(8)
pytestmark = pytest.mark.filterwarnings("ignore::recast.errors.RecastWarning")


def tone(levels, hertz=440.0, fps=FPS):
    """A sine whose amplitude is the given one in each frame."""
    each = int(RATE / fps)
    amplitude = np.repeat(np.asarray(levels, np.float64), each)
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(len(amplitude)) / RATE)).astype(np.float32)


def wav(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def test_loudness_is_the_amplitude_as_a_share_of_the_loudest():
    levels = [0.0, 0.1, 0.2, 0.8, 0.4, 0.0]
    assert_allclose(loudness(Waveform(tone(levels), 0.0), FPS), np.array(levels) / 0.8, atol=0.01)


def test_a_sound_that_begins_later_is_silence_before_and_one_that_began_earlier_is_cut():
    levels = [0.5, 1.0, 0.25]
    late = loudness(Waveform(tone(levels), 0.25), FPS)
    assert_allclose(late, [0, 0, *levels], atol=0.01)
    assert_allclose(loudness(Waveform(tone(levels), -0.125), FPS), levels[1:], atol=0.01)


def test_a_band_hears_its_own_frequencies():
    low, high = tone([0.8, 0.8, 0.0, 0.0], 100.0), tone([0.0, 0.0, 0.8, 0.8], 3000.0)
    both = Waveform(low + high, 0.0)
    assert_allclose(band(both, FPS, 20, 300), [1, 1, 0, 0], atol=0.05)
    assert_allclose(band(both, FPS, 2000, 4000), [0, 0, 1, 1], atol=0.05)


def test_onsets_are_where_a_tone_begins():
    found = onsets(Waveform(tone([0, 0, 0.8, 0.8, 0.8, 0, 0, 0.8]), 0.0), FPS)
    assert set(np.flatnonzero(found > 0.5)) == {2, 7}


def test_silence_is_the_lower_end():
    assert not loudness(Waveform(np.zeros(RATE, np.float32), 0.0), FPS).any()


def test_a_file_is_read_as_it_was_written(tmp_path):
    samples = tone([0.2, 0.9])
    found = waveform_of(wav(tmp_path / "a.wav", samples))
    assert found.first == 0.0
    assert_allclose(found.samples, samples, atol=1e-4)


def test_a_curve_goes_from_silence_to_the_loudest(tmp_path):
    path = wav(tmp_path / "beat.wav", tone([0.0, 0.4, 0.8]))
    curve = schedule_of("cfg", f"sound(loudness of {path}, 1..5)").curve(FPS, None)
    assert_allclose([curve(frame) for frame in range(5)], [1, 3, 5, 1, 1], atol=0.05)
    falling = schedule_of("cfg", f"sound(loudness of {path}, 5..1)").curve(FPS, None)
    assert_allclose([falling(frame) for frame in range(3)], [5, 3, 1], atol=0.05)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("sound(volume, 0..1)", "FEATURE is loudness, onsets or a band"),
        ("sound(loudness)", "LOW..HIGH"),
        ("sound(300-20Hz, 0..1)", "from a lower to a higher frequency"),
        ("sound(20-9000Hz, 0..1)", "at most 8000 Hz"),
    ],
)
def test_what_is_no_sound_is_said(text, wrong):
    with pytest.raises(RequestError, match=wrong):
        Request.asked(words="snow", schedules={"strength": text})


def test_both_ends_are_checked_as_the_setting_is():
    with pytest.raises(RequestError, match="strength"):
        Request.asked(words="snow", schedules={"strength": "sound(loudness, 0..2)"})


def test_words_that_begin_so_stay_words():
    assert schedule_of("words", "0: sound(loudness, 0..1)").values == ("sound(loudness, 0..1)",)


def test_files_are_named_for_the_record_and_made_whole_for_the_queue(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = {"cfg": "sound(onsets of beat.wav, 1..6)", "strength": "sound(20-200Hz, 0.2..0.8)"}
    assert files_in(texts) == ("beat.wav",)
    assert with_whole_paths(texts)["cfg"] == f"sound(onsets of {tmp_path / 'beat.wav'}, 1..6)"
    assert with_whole_paths(texts)["strength"] == "sound(20-200Hz, 0.2..0.8)"


def test_words_go_from_silence_to_the_most_by_way_of_those_between(tmp_path):
    path = wav(tmp_path / "beat.wav", tone([0.0, 0.2, 0.4, 0.8]))
    found = schedule_of("words", f"sound(loudness of {path}, a calm sea, grey..waves..a stormy sea)")
    assert found.values == ("a calm sea, grey", "waves", "a stormy sea")
    tokens = list(torch.eye(3)[:, None])  # one token, of length 1, for each
    over = tokens_over(found.between(FPS, None), tokens, torch.arange(6))[:, 0]
    wanted = torch.tensor([[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [1, 0, 0]])
    torch.testing.assert_close(over, wanted / wanted.norm(dim=1, keepdim=True), atol=0.02, rtol=0)
    assert torch.equal(over[3], tokens[2][0])  # at the most it is the last one, bit for bit


@pytest.mark.parametrize("values", ["a calm sea", "a calm sea..", "..waves", "..", ""])
def test_words_of_a_sound_are_two_or_more(values):
    with pytest.raises(RequestError, match=r"WORDS\.\.WORDS"):
        Request.asked(schedules={"words": f"sound(loudness, {values})"})


def test_an_edit_shows_at_silence_and_at_the_most_what_each_prompt_shows(tmp_path):
    path, model = wav(tmp_path / "beat.wav", tone([0.0, 0.8, 0.0])), write_stable_diffusion(tmp_path / "m")
    editor, asked = recast.load(model), {"steps": 2, "frames": 3, "fps": 8, "size": (32, 32), "seed": 4}
    moving = editor.generate(schedules={"prompt": f"sound(loudness of {path}, a dog..snow)"}, **asked).frames
    quiet, loud = (editor.generate(prompt=words, **asked).frames for words in ("a dog", "snow"))
    assert torch.equal(moving[[0, 2]], quiet[[0, 2]])
    assert torch.equal(moving[1], loud[1])
    assert not torch.equal(quiet[1], loud[1])
    with pytest.raises(RequestError, match="name a file"):
        editor.generate(schedules={"prompt": "sound(loudness, a dog..snow)"}, **asked)


def test_deforums_strings_are_read():
    one, other = (schedule_of("strength", text).curve(FPS) for text in ("0: (0.5), 48: (0.8)", "0: 0.5, 48: 0.8"))
    assert one == other


def test_a_clip_from_memory_has_no_sound_and_a_file_may_have_none(tmp_path):
    editor = recast.load(written(tmp_path / "model"))
    clip = Clip(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), FPS)
    asked = {"prompt": "ball", "method": "sdedit", "steps": 1}
    with pytest.raises(RequestError, match="name a file"):
        editor(clip, schedules={"strength": "sound(loudness, 0..1)"}, **asked)
    save_clip(clip, tmp_path / "mute.mp4")
    with pytest.raises(MediaError, match="no sound to follow"):
        editor(tmp_path / "mute.mp4", schedules={"strength": "sound(loudness, 0..1)"}, **asked)


def test_an_edit_follows_the_sound_and_the_plan_draws_it(tmp_path, capsys):
    levels = np.array([0.1, 0.9, 0.3, 0.7, 0.0, 0.5, 0.8, 0.2])
    beat, model = wav(tmp_path / "beat.wav", tone(levels)), written(tmp_path / "model")
    editor, noise = recast.load(model), torch.Generator().manual_seed(1)
    clip = Clip(torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8, generator=noise), FPS)
    driven, asked = f"cfg=sound(loudness of {beat}, 0..4)", {"prompt": "ball", "method": "gen1", "cuts": "none"}
    asked |= {"steps": 1, "window": 1}  # each frame is then uncond + cfg (cond - uncond), whatever the network
    none, most = (editor(clip, cfg=cfg, **asked).frames.float() for cfg in (0.0, 4.0))
    edited = editor(clip, schedules=[driven], **asked).frames.float()
    share = ((edited - none).abs().mean((1, 2, 3)) / (most - none).abs().mean((1, 2, 3))).numpy()
    assert np.corrcoef(share, levels)[0, 1] > 0.97
    source = clip_folder(tmp_path / "clip", frames=8)
    plan = ["plan", str(source), "-p", "ball", "-m", str(model), "--method", "gen1", "--steps", "2"]
    assert run([*plan, "--schedule", driven]) == 0
    assert "cfg" in (shown := capsys.readouterr().out)
    assert "▁" in shown
    assert run([*plan, "--schedule", driven, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["schedules"]["cfg"]) == 8
