"""Edits through a model of another family, from a folder in the published layout."""

from fractions import Fraction

import pytest
import torch

import recast
from recast.backbones.tiny import write_stable_diffusion
from recast.errors import BackboneError, RequestError
from recast.methods import METHODS
from recast.types import Clip

CLIP = Clip(
    torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)), Fraction(8)
)

ELSEWHERE = {"anyv2v", "instruct-pix2pix", "instruct-vid2vid", "make-a-protagonist"}
"""What needs a network that reads a picture."""
BY_STRUCTURE = ["controlvideo", "deforum", "depth-frames", "text2video-zero"]
"""Methods that keep nothing else of the source, unless their strength is below 1."""


@pytest.fixture(scope="module")
def editor(tmp_path_factory):
    return recast.load(write_stable_diffusion(tmp_path_factory.mktemp("model")))


@pytest.mark.filterwarnings("ignore:the walk back")  # of one step
@pytest.mark.parametrize("method", sorted(set(METHODS) - {*ELSEWHERE, *BY_STRUCTURE}))
def test_words_edit_a_clip_by_every_method(editor, method):
    steps = 2 if method == "csd" else 1  # whose first step spreads the frames apart, whatever the words
    one, other = (
        editor(CLIP, prompt=words, method=method, steps=steps).frames for words in ("dog in snow", "a street")
    )
    assert one.shape == CLIP.frames.shape
    assert not torch.equal(one, other)


def test_an_editor_repeats_an_edit_whatever_it_was_asked_between(editor):
    first, _, again = (editor(CLIP, prompt=words, steps=2).frames for words in ("dog", "a street", "dog"))
    assert torch.equal(first, again)


def test_an_instruction_edits_a_clip_by_a_network_that_reads_pictures(tmp_path):
    editor = recast.load(write_stable_diffusion(tmp_path / "pictures", picture=True))
    made = editor(CLIP, prompt="make it snow", method="instruct-pix2pix", steps=3).frames
    kept = editor(CLIP, prompt="make it snow", method="instruct-pix2pix", steps=3, picture_guidance=8.0).frames
    assert made.shape == CLIP.frames.shape
    assert not torch.equal(made, kept)
    with pytest.raises(BackboneError, match="reads no picture to edit"):
        recast.load(write_stable_diffusion(tmp_path / "words"))(CLIP, prompt="snow", method="instruct-pix2pix", steps=3)


@pytest.mark.parametrize("method", BY_STRUCTURE)
def test_what_keeps_the_source_by_structure_alone_is_refused_without(editor, method):
    with pytest.raises(RequestError, match="reads no structure"):
        editor(CLIP, prompt="snow", method=method, steps=3)
    assert editor(CLIP, prompt="snow", method=method, steps=2, strength=0.8).frames.shape == CLIP.frames.shape


def test_a_depth_pipeline_keeps_its_image_processor_beside_the_estimator(tmp_path):
    folder = write_stable_diffusion(tmp_path, depth=True)
    assert not (folder / "depth_estimator" / "preprocessor_config.json").exists()
    result = recast.load(folder)(CLIP, prompt="a red ball", steps=2)
    assert result.frames.shape == CLIP.frames.shape


@pytest.mark.filterwarnings("ignore:source prompt does nothing here")
def test_a_source_prompt_matters_to_flowedit_alone(editor):
    for method, matters in (("flowedit", True), ("gen1", False)):
        edited = [
            editor(CLIP, prompt="snow", source_prompt=p, method=method, steps=2).frames for p in ("dog", "street")
        ]
        assert torch.equal(*edited) is not matters


def test_the_same_source_and_target_words_give_the_source(editor):
    edited = editor(CLIP, prompt="dog", source_prompt="dog", method="flowedit", steps=3, cfg=1.0).frames
    backbone = editor.model.backbone
    assert torch.equal(edited, backbone.decode(backbone.encode(CLIP.frames)))


def test_pictures_are_refused_by_a_family_that_reads_words(editor, tmp_path):
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(BackboneError):
        editor(CLIP, image=str(tmp_path / "a.png"))
