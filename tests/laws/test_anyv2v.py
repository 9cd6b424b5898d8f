"""AnyV2V over Stable Video Diffusion puts the source's layers into the edit's: arXiv:2403.14468."""

from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

import recast
from pipelines import drawn
from recast.backbones.tiny import write_stable_diffusion
from recast.backbones.video_control import VideoControl
from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.errors import BackboneError
from recast.methods.anyv2v import injection
from recast.networks.hooks import SiteKind
from recast.types import Clip, Condition
from svd_folder import write_svd

FRAMES, ROWS, COLUMNS = 4, 32, 48
DECODER = "up_blocks.1.attentions.1"
CLIP = Clip(
    torch.randint(0, 256, (FRAMES, 3, ROWS, COLUMNS), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)),
    Fraction(7),
)
pytestmark = pytest.mark.filterwarnings("ignore:the walk back:recast.errors.RecastWarning")


@pytest.fixture(scope="module")
def editor(tmp_path_factory):
    return recast.load(write_svd(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def backbone(editor):
    return editor.model.backbone


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "edited.png"
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (ROWS, COLUMNS, 3), dtype=np.uint8)).save(path)
    return str(path)


@pytest.fixture(scope="module")
def conditions(backbone, picture):
    """Of the source, and of the edit."""
    tokens = backbone.encode_content([ContentInput(Medium.PICTURE, picture)])
    bare = Condition(tokens, backbone.null_tokens(), frames=torch.arange(FRAMES))
    edited = backbone.with_control_video(bare, VideoControl(CLIP.frames, pictures=[picture]), 2)
    own = replace(edited, cond=backbone.source_content(CLIP.frames), first=edited.first.of_source)
    return own, edited


def answer(backbone, x, condition):
    branches = [Branch(condition.cond), Branch(condition.uncond)]
    return torch.stack(backbone.denoise_branches(x, 2.0, condition, branches))


@contextmanager
def by_hand(network, names, act):
    """`act(name, output)` in place of what modules give, by PyTorch's own hooks."""
    handles = [
        network.get_submodule(name).register_forward_hook(lambda _module, _given, out, name=name: act(name, out))
        for name in names
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


PARTS = {
    "features": ["up_blocks.1.resnets.1.spatial_res_block.conv2"],
    "places": [f"{DECODER}.transformer_blocks.0.attn1.to_{name}" for name in "qk"],
    "frames": [f"{DECODER}.temporal_transformer_blocks.0.attn1.to_{name}" for name in "qk"],
}


@pytest.mark.parametrize("taken", [("features",), ("places",), ("frames",), tuple(PARTS)])
def test_a_step_has_the_sources_layers_in_both_branches(backbone, conditions, taken):
    """By PyTorch's hooks on diffusers' modules: outputs of the source's pass, put into the edit's."""
    own, edited = conditions
    source, x, kept = *(drawn(FRAMES, 4, ROWS // 8, COLUMNS // 8, seed=seed) for seed in (1, 2)), {}
    names = [name for part in taken for name in PARTS[part]]
    with by_hand(backbone.network, names, lambda name, out: kept.update({name: out})):
        [_] = backbone.denoise_branches(source, 2.0, own, [Branch(own.cond)])
    with by_hand(backbone.network, names, lambda name, _out: torch.cat([kept[name]] * 2)):
        expected = answer(backbone, x, edited)
    hooks = injection(*(0.0 if part in taken else 9.0 for part in PARTS))
    with backbone.hooked(*hooks.record):
        [_] = backbone.denoise_branches(source, 2.0, own, [Branch(own.cond)])
    with backbone.hooked(*hooks.edit):
        made = answer(backbone, x, edited)
    assert_close(made, expected, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(made, answer(backbone, x, edited), atol=1e-3)


def test_hooks_see_layers_over_places_and_over_frames(backbone, conditions):
    seen, x = set(), drawn(FRAMES, 4, ROWS // 8, COLUMNS // 8, seed=2)
    own = conditions[0]

    def look(call, attend):
        seen.add((call.kind, call.q.shape[:2] == (FRAMES, call.grid[0] * call.grid[1])))
        if call.kind is SiteKind.TEMPORAL:
            assert call.q.shape[:2] == (call.grid[0] * call.grid[1], FRAMES)
        return attend(call)

    plain = answer(backbone, x, own)
    with backbone.hooked(look):
        assert torch.equal(answer(backbone, x, own), plain)
    assert seen == {(SiteKind.SELF, True), (SiteKind.CROSS, True), (SiteKind.TEMPORAL, False)}
    seen.clear()
    with backbone.hooked(look):
        backbone.denoise_branches(x, 2.0, own, [Branch(own.cond, temporal=False)])
    assert {kind for kind, _ in seen} == {SiteKind.SELF, SiteKind.CROSS}


def edited(editor, picture, **settings):
    return editor(CLIP, image=picture, method="anyv2v", steps=4, seed=1, **settings).frames


def test_every_share_matters_and_motion_alone_is_not_plug_and_play(editor, picture):
    none = {"features_until": 0.0, "attention_until": 0.0, "motion_until": 0.0}
    made = {name: edited(editor, picture, **none | {name: 1.0}) for name in none}
    plain = edited(editor, picture, **none)
    assert all(not torch.equal(each, plain) for each in made.values())
    assert not torch.equal(made["motion_until"], made["attention_until"])
    frame_by_frame = editor(CLIP, image=picture, method="pnp", steps=4, seed=1).frames
    assert not torch.equal(
        edited(editor, picture, **none | {"features_until": 0.8, "attention_until": 0.5}), frame_by_frame
    )


def test_without_injection_it_is_the_walk_back_under_the_edited_frame(editor, picture, monkeypatch):
    none = {"features_until": 0.0, "attention_until": 0.0, "motion_until": 0.0}
    monkeypatch.setattr("recast.methods.anyv2v.beside_source", lambda _backbone, edit, *_: edit)
    walked = edited(editor, picture, **none)
    monkeypatch.undo()
    assert torch.equal(edited(editor, picture, **none), walked)


def test_strength_0_gives_the_source_back_and_a_seed_its_answer(editor, picture):
    backbone = editor.model.backbone
    assert torch.equal(edited(editor, picture, strength=0.0), backbone.decode(backbone.encode(CLIP.frames)))
    assert torch.equal(edited(editor, picture), edited(editor, picture))


def test_its_own_first_frame_gives_the_clip_nearly_back(editor, picture, tmp_path):
    first = tmp_path / "first.png"
    Image.fromarray(CLIP.frames[0].permute(1, 2, 0).numpy()).save(first)
    backbone = editor.model.backbone
    source = backbone.decode(backbone.encode(CLIP.frames)).float()
    settings = {"cfg": 1.0, "strength": 0.2, "refinements": 8, "method": "anyv2v", "steps": 12}
    near, other = (
        (editor(CLIP, image=each, **settings).frames.float() - source).abs().mean() for each in (str(first), picture)
    )
    print(near, other)
    assert near < other / 2


def test_another_family_is_refused(tmp_path):
    editor = recast.load(write_stable_diffusion(tmp_path))
    with pytest.raises(BackboneError, match="it starts no clip from a picture; take svd"):
        editor(CLIP, prompt="snow", source_prompt="a dog", method="anyv2v", steps=1)
