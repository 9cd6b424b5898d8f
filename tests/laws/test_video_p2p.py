"""Video-P2P: guidance decoupled, the source's walk by fitted tokens, its maps, and its latents outside of words."""

import pytest
import torch
from torch.testing import assert_close

from editor_inputs import FIRST, image_walk, inputs_of, opened_depth
from recast.errors import RequestError
from recast.methods.video_p2p import VideoP2P
from recast.networks.attention_recipes import ReferenceAttention, anchored

# The tiny network's random weights are hard to invert, which methods that invert warn of.
pytestmark = pytest.mark.filterwarnings("ignore:the walk back:recast.errors.RecastWarning")
CLOSE = {"atol": 1e-4, "rtol": 1e-4}
NO_MAPS = {"cross_until": 0.0, "self_until": 0.0}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return opened_depth(tmp_path_factory.mktemp("model"))


def frame_walk(backbone, inputs):
    """`image_walk` where all look at the first frame, in the inversion too."""
    with backbone.hooked(ReferenceAttention(anchored(FIRST))):
        return image_walk(backbone, inputs)


def test_the_edit_is_guided_away_from_the_null_content_and_only_its_maps_are_of_the_fitted_walk(backbone):
    inputs = inputs_of(backbone, steps=2, cfg_scale=8.0)
    free, fitted = (VideoP2P(fit_iterations=count, **NO_MAPS)(inputs, backbone) for count in (0, 2))
    assert torch.equal(free, fitted)
    assert_close(free, frame_walk(backbone, inputs), **CLOSE)
    maps = {"cross_until": 1.0, "self_until": 1.0}
    free, fitted = (VideoP2P(fit_iterations=count, **maps)(inputs, backbone) for count in (0, 4))
    assert not torch.allclose(free, fitted, atol=1e-5)


def test_of_equal_prompts_without_guidance_all_maps_are_the_edits_own(backbone):
    inputs = inputs_of(backbone, steps=2, same=True, cfg_scale=1.0)
    assert_close(VideoP2P(cross_until=1.0, self_until=1.0)(inputs, backbone), frame_walk(backbone, inputs), **CLOSE)


def test_outside_of_words_it_comes_back_to_the_clip_where_the_guided_walk_does_not(backbone):
    """At a threshold of 1 no place looks at the word, so that all of it is the source's walk."""
    inputs = inputs_of(backbone, steps=4, same=True, cfg_scale=8.0)
    source = backbone.encode(inputs.clip.frames)
    knobs = {"refinements": 4, "strength": 0.5, "blend_word": "dog", "blend_threshold": 1.0, "blend_from": 0.0}
    fitted, free = (VideoP2P(fit_iterations=count, **knobs)(inputs, backbone) for count in (4, 0))
    assert_close(free, VideoP2P(refinements=4, strength=0.5, **NO_MAPS)(inputs, backbone), **CLOSE)
    assert (fitted - source).square().mean() < 0.9 * (free - source).square().mean()


def test_what_looks_at_neither_word_is_the_sources(backbone):
    inputs, walk = inputs_of(backbone, steps=1), {"fit_iterations": 0, "blend_threshold": 0.999}
    source = VideoP2P(blend_word="dog", **walk | {"blend_threshold": 1.0, "blend_from": 0.0})(inputs, backbone)
    words = ({"blend_word": "dog"}, {"edited_word": "cat"}, {"blend_word": "dog", "edited_word": "cat"})
    one, other, both = (
        (VideoP2P(blend_from=0.0, **walk | named)(inputs, backbone) == source).all(1) for named in words
    )
    assert torch.equal(both, one & other)
    assert 0 < both.sum() < both.numel()
    assert not torch.equal(one, other)


@pytest.mark.parametrize("part", [{"cross_until": 1.0}, {"self_until": 1.0}, {"frame_attention": False}])
def test_each_part_matters(backbone, part):
    inputs, plain = inputs_of(backbone, steps=2), {"fit_iterations": 0} | NO_MAPS
    assert not torch.allclose(
        VideoP2P(**plain | part)(inputs, backbone), VideoP2P(**plain)(inputs, backbone), atol=1e-4
    )


def test_words_that_are_not_there_are_refused(backbone):
    inputs = inputs_of(backbone, steps=1)
    for knobs, message in (({"blend_word": "cat"}, "no word 'cat'"), ({"edited_word": "dog"}, "no word 'dog'")):
        with pytest.raises(RequestError, match=message):
            VideoP2P(**knobs)(inputs, backbone)
