"""Edits through transformers of video, from tiny folders in the published layouts: by every method that they host."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

import recast
from cogvideox_folder import write_cogvideox
from ltx_folder import write_ltx
from recast.cli.app import run
from recast.errors import BackboneError, RequestError
from recast.methods import METHODS
from recast.methods.needs import lacking
from recast.types import Clip
from tiny_folder import clip_folder
from wan_folder import write_wan

CLIP = Clip(
    torch.randint(0, 256, (6, 3, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)), Fraction(8)
)
HOSTED = {"flowalign", "flowedit", "gen1", "infedit", "sdedit", "uniedit-flow"}
"""What needs no hooks, no latent for each frame, and no other network."""
FOLDERS = {
    "cogvideox": write_cogvideox,
    "ltx": write_ltx,
    "wan": write_wan,
    "vace": lambda path: write_wan(path, vace=True),
}
pytestmark = pytest.mark.filterwarnings("ignore:the walk back")  # two steps are few to invert by


@pytest.fixture(scope="module", params=FOLDERS)
def editor(request, tmp_path_factory):
    return recast.load(FOLDERS[request.param](tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def vace(tmp_path_factory):
    return recast.load(FOLDERS["vace"](tmp_path_factory.mktemp("model")))


def test_flow_editors_are_among_those_that_it_hosts(editor):
    assert {name for name, method in METHODS.items() if not lacking(method.needs, editor.model.backbone)} >= HOSTED


@pytest.mark.parametrize("method", sorted(HOSTED))
def test_words_edit_a_clip(editor, method):
    one, other = (editor(CLIP, prompt=words, method=method, steps=2).frames for words in ("dog in snow", "a street"))
    assert one.shape == CLIP.frames.shape
    assert not torch.equal(one, other)


def test_the_same_source_and_target_words_give_the_source(editor):
    edited = editor(CLIP, prompt="dog", source_prompt="dog", method="flowedit", steps=3, cfg=1.0).frames
    backbone = editor.model.backbone
    assert torch.equal(edited, backbone.decode(backbone.encode(CLIP.frames))[: len(CLIP)])


def test_what_it_can_is_told_in_nine_entries(editor):
    facts = editor.model.abilities
    assert len(facts) == 9
    assert facts["family"] in ("cogvideox", "ltx", "wan")
    assert (facts["frames a latent"], facts["frames at once"]) == (4, editor.model.backbone.max_frames)


def test_structure_detail_and_weight_reach_the_control_video(vace):
    asked = [{}, {"structure_detail": 4}, {"structure": ["depth:0.3"]}, {"structure": ["depth@0-0.5"]}]
    made = [vace(CLIP, prompt="a dog", method="gen1", steps=2, **each).frames for each in asked]
    assert not any(torch.equal(made[0], other) for other in made[1:])


def test_a_picture_is_shown_to_vace(vace, tmp_path):
    path = tmp_path / "style.png"
    Image.fromarray(np.full((20, 30, 3), (250, 20, 20), np.uint8)).save(path)
    plain, pictured = (
        vace(CLIP, prompt="a dog", image=image, steps=2, method="gen1").frames for image in ((), str(path))
    )
    assert not torch.equal(plain, pictured)
    with pytest.raises(RequestError, match="sees several pictures alike"):
        vace(CLIP, prompt="a dog", image=[(str(path), 1.0), (str(path), 0.5)], steps=2, method="gen1")


def test_an_instruction_edits_the_clip_that_the_network_reads(tmp_path):
    editor = recast.load(write_wan(tmp_path, lucy=True))
    turned = Clip(CLIP.frames.flip(-1), CLIP.fps)
    made, other = (editor(clip, prompt="make it snow", method="gen1", steps=2).frames for clip in (CLIP, turned))
    assert not torch.equal(made, other)


def test_vace_sees_what_a_mask_keeps(vace, tmp_path):
    half = Image.new("L", (48, 32))
    half.paste(255, (0, 0, 16, 32))
    half.save(tmp_path / "mask.png")
    asked = {"prompt": "a dog", "method": "gen1", "steps": 2, "mask": tmp_path / "mask.png", "feather": 0}
    masked, backbone = vace(CLIP, **asked).frames, vace.model.backbone
    source = backbone.decode(backbone.encode(CLIP.frames))[: len(CLIP)]
    assert masked.shape == CLIP.frames.shape
    assert not torch.equal(masked[..., :16], source[..., :16])


def test_what_a_transformer_cannot_is_refused(editor, tmp_path):
    with pytest.raises(BackboneError, match="hooks know layers that see single frames"):
        editor(CLIP, prompt="a dog", method="tokenflow", steps=2)
    with pytest.raises(BackboneError, match="change single attention layers of a UNet"):
        editor(CLIP, prompt="a dog", method="gen1", perturbed_attention=1.0, steps=2)
    with pytest.raises(BackboneError, match="cannot be tuned: its network is no UNet"):
        recast.tune(CLIP, caption="a dog", output=tmp_path / "dog", model=str(editor.model.folder.path), frames=2)


def test_what_an_edit_would_cost_is_counted(editor, tmp_path, capsys):
    clip = clip_folder(tmp_path / "clip", frames=6, size=(32, 48))
    asked = ["plan", str(clip), "-p", "a dog", "-m", str(editor.model.folder.path), "--method", "gen1", "--steps", "2"]
    assert run([*asked, "--json"]) == 0
    assert '"evaluations": 4' in capsys.readouterr().out.replace("\n", "")


def test_an_instructed_network_is_edited_by_the_noised_source(tmp_path):
    editor, frames = recast.load(write_wan(tmp_path, lucy=True)), torch.full((4, 3, 32, 32), 90, dtype=torch.uint8)
    edited = editor(Clip(frames, Fraction(8)), prompt="snow", method="sdedit", steps=2)
    assert edited.frames.shape == frames.shape
    assert not torch.equal(edited.frames, frames)
