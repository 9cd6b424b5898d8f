"""Make-A-Protagonist: a picture's content where the protagonist is, the words' elsewhere, and how both are said."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from attention_calls import GRID, attended, call_of
from method_inputs import FRAMES, inputs_of
from recast.backbones.tiny import tiny
from recast.errors import RequestError
from recast.methods.make_a_protagonist import MakeAProtagonist
from recast.methods.needs import Need, lacking
from recast.networks.grounding import MaskedContents
from recast.networks.hooks import SiteKind
from recast.types import Clip
from tuning_clips import opened

# The tiny network's random weights are hard to invert, which methods that invert warn of.
pytestmark = pytest.mark.filterwarnings("ignore:the walk back:recast.errors.RecastWarning")
CLOSE = {"atol": 1e-4, "rtol": 1e-4}


@pytest.fixture(scope="module")
def backbone():
    return tiny()


def asked(backbone, **settings):
    """Inputs of a still clip, with a picture beside the words; a box stays where it is."""
    inputs = inputs_of(backbone, **settings)
    still = Clip(inputs.clip.frames[:1].expand(FRAMES, -1, -1, -1), inputs.clip.fps)
    return replace(inputs, clip=still, pictured=backbone.embedding_tokens(torch.linspace(-2, 2, 12)))


def of_one(inputs, tokens):
    """The same edit, told one content alone."""
    return replace(inputs, condition=replace(inputs.condition, cond=tokens), pictured=None)


def test_each_place_attends_to_its_content_and_calls_of_no_content_are_left_alone():
    call = call_of(range(20, 23), kind=SiteKind.CROSS, keys=5)
    masks = {20: torch.zeros(1, *GRID), 21: torch.ones(1, *GRID), 22: torch.zeros(1, *GRID)}
    masks[22][:, 0, 1:] = 1
    first, second = (attended(replace(call, k=call.k[:, part], v=call.v[:, part])) for part in (slice(2), slice(2, 5)))
    answer = MaskedContents(2, 3, masks)(call, attended)
    assert_close(answer[:2], torch.stack([second[0], first[1]]))
    inside = masks[22].flatten().bool()
    assert_close(answer[2], torch.where(inside[:, None], first[2], second[2]))
    null = replace(call, k=call.k[:, :3], v=call.v[:, :3])
    assert torch.equal(MaskedContents(2, 3, masks)(null, attended), attended(null))


def test_everywhere_it_is_an_edit_by_the_picture_and_of_no_weight_one_by_the_words(backbone):
    inputs = asked(backbone)
    whole = MakeAProtagonist()(inputs, backbone)
    assert_close(whole, MakeAProtagonist()(of_one(inputs, inputs.pictured), backbone), **CLOSE)
    words = MakeAProtagonist()(of_one(inputs, inputs.condition.cond), backbone)
    assert_close(MakeAProtagonist(picture_weight=0.0)(inputs, backbone), words, **CLOSE)
    half = MakeAProtagonist(picture_weight=0.5)(inputs, backbone)
    mean = (inputs.pictured + inputs.condition.cond) / 2
    assert_close(half, MakeAProtagonist()(of_one(inputs, mean), backbone), **CLOSE)
    assert not torch.allclose(whole, words, atol=1e-2)


def test_in_a_box_it_is_neither_nor_a_blend_of_both_everywhere(backbone):
    """Inside nearer to the picture's edit, outside to that of the words, where a blend is equally near in both."""
    inputs = asked(backbone, steps=3)
    picture, words = (
        MakeAProtagonist()(of_one(inputs, tokens), backbone) for tokens in (inputs.pictured, inputs.condition.cond)
    )
    boxed = MakeAProtagonist(protagonist="0,0,0.4,1")(inputs, backbone)
    left, right = (boxed - picture).abs(), (boxed - words).abs()
    assert left[..., :2].mean() < right[..., :2].mean()
    assert right[..., 2:].mean() < left[..., 2:].mean()


def test_a_kept_background_is_the_sources_and_the_protagonist_is_not(backbone):
    inputs = asked(backbone)
    source = backbone.encode(inputs.clip.frames)
    kept = MakeAProtagonist(protagonist="0,0,0.4,1", keep_background=True)(inputs, backbone)
    assert_close(kept[..., 2:], source[..., 2:], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(kept[..., :2], source[..., :2], atol=1e-2)


def test_what_is_no_box_and_models_that_read_no_pictures_are_refused():
    with pytest.raises(RequestError, match="the protagonist is '0,1', which is no box"):
        MakeAProtagonist(protagonist="0,1")
    [reason] = lacking([Need.WORDS_AND_PICTURES], opened("sd"))
    assert reason == "it reads no content from a picture; take a Gen-1 model"
    assert not lacking(MakeAProtagonist.needs, tiny())
