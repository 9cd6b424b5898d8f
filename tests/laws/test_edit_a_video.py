"""Edit-A-Video: null tokens of each frame's own that the edit is guided by, and masks that frames share."""

from functools import partial

import pytest
import torch
from torch.testing import assert_close

from editor_inputs import FRAMES, cut, image_walk, inputs_of, opened_depth
from recast.errors import RequestError
from recast.methods.edit_a_video import EditAVideo
from recast.methods.video_p2p import VideoP2P
from recast.networks.attention_recipes import causal_in_pass
from recast.networks.map_control import WordMaps

# The tiny network's random weights are hard to invert, which methods that invert warn of.
pytestmark = pytest.mark.filterwarnings("ignore:the walk back:recast.errors.RecastWarning")
CLOSE = {"atol": 1e-4, "rtol": 1e-4}
NO_MAPS = {"cross_until": 0.0, "self_until": 0.0}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return opened_depth(tmp_path_factory.mktemp("model"))


def test_without_fit_and_maps_it_is_the_inverted_clip_walked_back(backbone):
    inputs = inputs_of(backbone, steps=2)
    assert_close(EditAVideo(fit_iterations=0, **NO_MAPS)(inputs, backbone), image_walk(backbone, inputs), **CLOSE)


def test_the_fitted_tokens_bring_full_guidance_back_to_the_clip_where_video_p2ps_leave_the_edit_free(backbone):
    inputs = inputs_of(backbone, steps=4, same=True, cfg_scale=8.0)
    source = backbone.encode(inputs.clip.frames)

    def missed(method, **knobs):
        return (method(refinements=4, strength=0.5, **NO_MAPS, **knobs)(inputs, backbone) - source).square().mean()

    assert missed(EditAVideo, fit_iterations=4) < 0.9 * missed(EditAVideo, fit_iterations=0)
    free = partial(missed, VideoP2P, frame_attention=False)
    assert free(fit_iterations=4) == free(fit_iterations=0)


def test_each_frame_has_null_tokens_of_its_own(backbone):
    """In an image network a frame alone is then edited as it is among others; tokens that frames share are not."""
    inputs = inputs_of(backbone, steps=2, cfg_scale=6.0)
    whole = EditAVideo(fit_iterations=3)(inputs, backbone)
    for frame in (0, FRAMES - 1):
        alone = EditAVideo(fit_iterations=3)(cut(inputs, frame, frame + 1), backbone)
        assert_close(whole[[frame]], alone, **CLOSE)
    assert not torch.allclose(whole, EditAVideo(fit_iterations=0)(inputs, backbone), atol=1e-3)


def test_of_equal_prompts_all_maps_are_the_edits_own(backbone):
    inputs = inputs_of(backbone, steps=2, same=True, cfg_scale=1.0)
    mapped = EditAVideo(cross_until=1.0, self_until=1.0)(inputs, backbone)
    assert_close(mapped, image_walk(backbone, inputs), **CLOSE)


@pytest.mark.parametrize(
    "part",
    [{"cross_until": 1.0}, {"self_until": 1.0}, {"blend_word": "dog", "blend_from": 0.0, "blend_threshold": 0.999}],
)
def test_each_part_matters(backbone, part):
    inputs, plain = inputs_of(backbone, steps=2), {"fit_iterations": 0} | NO_MAPS
    without, with_it = (EditAVideo(**plain | knobs)(inputs, backbone) for knobs in ({}, part))
    assert not torch.allclose(with_it, without, atol=1e-4)


def word_maps(*pictures):
    return WordMaps(tokens=(1,), size=(8, 8), sums={(2.0, 20 + i): picture[None] for i, picture in enumerate(pictures)})


def spot(row, column, size=1.0):
    picture = torch.zeros(8, 8)
    picture[row, column] = size
    return picture


def test_a_mask_is_of_the_frames_own_map_and_those_of_the_first_frame_and_the_one_before():
    frames = [20, 21, 22]
    maps = word_maps(spot(1, 1), spot(1, 6, size=100.0), spot(6, 6))
    own = [set(map(tuple, mask[0].nonzero().tolist())) for mask in maps.mask(2.0, frames, 0.3)]
    shared = maps.mask(2.0, frames, 0.3, causal_in_pass(frames))
    found = [set(map(tuple, mask[0].nonzero().tolist())) for mask in shared]
    # The first frame is its own reference; the second has the first twice; of three spots each is a third.
    assert found == [own[0], own[0] | own[1], own[0] | own[1] | own[2]]
    higher = [bool(mask[0, 1, 6]) for mask in maps.mask(2.0, frames, 0.6, causal_in_pass(frames))]
    assert higher == [False, False, True]


def test_of_a_still_map_sharing_changes_no_mask():
    picture = torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
    maps = word_maps(picture, picture, picture)
    assert torch.equal(
        maps.mask(2.0, [20, 21, 22], 0.5), maps.mask(2.0, [20, 21, 22], 0.5, causal_in_pass([20, 21, 22]))
    )


def test_words_and_sources_that_are_not_there_are_refused(backbone):
    inputs = inputs_of(backbone, steps=1)
    with pytest.raises(RequestError, match="no word 'cat'"):
        EditAVideo(blend_word="cat")(inputs, backbone)
    with pytest.raises(RequestError, match="editavideo needs to know"):
        EditAVideo()(inputs_of(backbone, steps=1, source=None), backbone)
