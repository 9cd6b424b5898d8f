"""Editors that join fitted tokens, windows, correspondences or masks: what each comes to where these are simple."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from attention_calls import GRID, attended, call_of
from editor_inputs import FRAMES, image_walk, images, inputs_of, opened_depth
from recast.conditions.flow import ClipFlow
from recast.conditions.word_alignment import changed_places
from recast.errors import RequestError
from recast.methods.boxes import carried
from recast.methods.gen_l_video import GenLVideo
from recast.methods.ground_a_video import GroundAVideo, still_noise
from recast.methods.infusion import InFusion
from recast.methods.pnp import PlugAndPlay
from recast.methods.vid2vid_zero import Vid2VidZero
from recast.networks.attention_recipes import ExtendedAttention, PassAttention, ReferenceAttention, towards_middle
from recast.networks.grounding import GroundedWords
from recast.networks.hooks import SiteKind

# The tiny network's random weights are hard to invert, which methods that invert warn of.
pytestmark = pytest.mark.filterwarnings("ignore:the walk back:recast.errors.RecastWarning")
CLOSE = {"atol": 1e-4, "rtol": 1e-4}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return opened_depth(tmp_path_factory.mktemp("model"))


def whole_walk(backbone, inputs, hook):
    """`image_walk` with the hook in the inversion too."""
    with backbone.hooked(hook):
        return image_walk(backbone, inputs)


def test_vid2vid_zero_without_maps_and_fit_is_dense_attention_and_each_part_matters(backbone):
    inputs = inputs_of(backbone, steps=2)
    none = {"fit_iterations": 0, "cross_until": 0.0, "self_until": 0.0}
    plain = Vid2VidZero(**none)(inputs, backbone)
    assert_close(plain, whole_walk(backbone, inputs, ExtendedAttention()), **CLOSE)
    for part in ({"fit_iterations": 2}, {"cross_until": 1.0}, {"self_until": 1.0}):
        assert not torch.allclose(Vid2VidZero(**none | part)(inputs, backbone), plain, atol=1e-4)


def test_vid2vid_zeros_fitted_tokens_bring_full_guidance_back_to_the_source(backbone):
    inputs = inputs_of(backbone, steps=4, same=True, cfg_scale=8.0)
    source = backbone.encode(inputs.clip.frames)
    knobs = {"refinements": 4, "strength": 0.5, "cross_until": 0.0, "self_until": 0.0, "fitted_until": 1.0}
    fitted, free = (Vid2VidZero(fit_iterations=count, **knobs)(inputs, backbone) for count in (4, 0))
    assert (fitted - source).square().mean() < 0.9 * (free - source).square().mean()


def test_gen_l_video_in_one_window_looks_towards_the_middle(backbone):
    """Frames 20 to 24: the middle is 22."""
    inputs = inputs_of(backbone, steps=2)
    neighbours = {20: 21, 21: 22, 22: 22, 23: 22, 24: 23}
    assert {frame: towards_middle(range(20, 25))(frame) for frame in neighbours} == {
        frame: (22, other) for frame, other in neighbours.items()
    }
    hook = ReferenceAttention(lambda frame: (22, neighbours[frame]))
    assert_close(GenLVideo()(inputs, backbone), whole_walk(backbone, inputs, hook), **CLOSE)


def test_gen_l_video_averages_windows_that_have_a_frame_alike(backbone):
    inputs = inputs_of(backbone, window=3)
    x = torch.randn(FRAMES, 4, 4, 5, generator=torch.Generator().manual_seed(2))
    made = GenLVideo(overlap=0.7).denoiser(inputs, backbone, 3.0)(x, 2.0, inputs.condition)
    total, count = torch.zeros_like(x), torch.zeros(FRAMES, 1, 1, 1)
    with backbone.hooked(PassAttention(towards_middle)):
        for first in range(FRAMES - 2):
            picks = torch.arange(first, first + 3)
            total[picks] += images(backbone, 3.0)(x[picks], 2.0, inputs.condition.at(picks))
            count[picks] += 1
    assert_close(made, total / count, **CLOSE)


def test_infusion_lies_between_the_image_model_and_plug_and_plays_features(backbone):
    inputs, alone = inputs_of(backbone, steps=2), {"attention_until": 0.0, "cross_until": 0.0}
    none = InFusion(difference=1.0, **alone)(inputs, backbone)
    assert_close(none, PlugAndPlay(attention_until=0.0)(inputs, backbone), **CLOSE)
    assert_close(
        InFusion(difference=0.0, **alone)(inputs, backbone), image_walk(backbone, inputs), atol=1e-3, rtol=1e-3
    )
    part = InFusion(difference=0.5, **alone)(inputs, backbone)
    assert min((part - other).norm() for other in (none, image_walk(backbone, inputs))) > 1e-2
    assert not torch.allclose(InFusion(edited_scale=3.0, **alone)(inputs, backbone), part, atol=1e-3)


def test_infusions_attention_is_the_edits_own_where_words_change(backbone):
    """Words of the source that the edit has not: dog. Where all places look at it, nothing is the source's."""
    inputs, never = inputs_of(backbone, steps=2), {"features_until": 0.0}
    assert changed_places(inputs.source.words, inputs.condition.words) == inputs.source.words.of_word("dog")
    fused = InFusion(word_threshold=1.0, **never)(inputs, backbone)
    assert not torch.allclose(fused, image_walk(backbone, inputs), atol=1e-3)
    assert_close(InFusion(word_threshold=0.0, **never)(inputs, backbone), image_walk(backbone, inputs), **CLOSE)
    wordless = replace(inputs, source=replace(inputs.source, words=None))
    assert not torch.allclose(InFusion(**never)(wordless, backbone), fused, atol=1e-3)


def test_ground_a_video_without_boxes_and_smoothing_is_dense_attention_and_each_part_matters(backbone):
    inputs = inputs_of(backbone, steps=2)
    plain = GroundAVideo(still_below=0.0)(inputs, backbone)
    assert_close(plain, whole_walk(backbone, inputs, ExtendedAttention()), **CLOSE)
    everywhere = GroundAVideo(still_below=0.0, boxes="red 0,0,1,1; cat 0,0,1,1")(inputs, backbone)
    assert_close(everywhere, plain, **CLOSE)
    boxed = GroundAVideo(still_below=0.0, boxes="cat 0,0,0.5,1")(inputs, backbone)
    assert not torch.allclose(boxed, plain, atol=1e-4)
    assert not torch.allclose(GroundAVideo(still_below=0.5)(inputs, backbone), plain, atol=1e-4)


def test_outside_of_its_box_a_word_does_not_exist():
    call = call_of((10, 11), kind=SiteKind.CROSS, keys=5)
    masks = {frame: torch.zeros(1, *GRID) for frame in call.frames}
    masks[11][:, 0] = 1
    hook = GroundedWords((1, 3), masks)
    without = attended(replace(call, k=call.k[:, [0, 2, 4]], v=call.v[:, [0, 2, 4]]))
    expected = without.clone()
    expected[1, :3] = attended(call)[1, :3]  # the first row of places of the second frame
    assert_close(hook(call, attended), expected)
    assert torch.equal(hook(replace(call, branch=1), attended), attended(call))


def test_still_places_take_the_noise_before_and_boxes_go_along_with_the_flow():
    """Three frames of 16 x 16 pixels: the right half moves by 8 pixels a frame to the right."""
    backward = torch.zeros(2, 2, 16, 16)
    backward[:, 0, :, 8:] = -8.0
    flow, start = ClipFlow(-backward, backward), torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    made = still_noise(start, flow, 0.2)
    assert torch.equal(made[..., 1], start[..., 1])
    assert torch.equal(made[..., 0], start[:1, ..., 0].expand(3, -1, -1))
    assert torch.equal(still_noise(start, ClipFlow(0 * backward, 0 * backward), 0.2), start[:1].expand(3, -1, -1, -1))
    box = torch.zeros(1, 1, 16, 16)
    box[..., :8] = 1
    assert torch.equal(carried(box, flow)[1:], torch.ones(2, 1, 16, 16))  # what moves comes out of the box


@pytest.mark.parametrize(
    ("boxes", "wrong"), [("dog", "is no box"), ("dog 0,0,1", "is no box"), ("dog 0.5,0,0.2,1", "must lie in 0..1")]
)
def test_what_is_no_box_is_refused(boxes, wrong):
    with pytest.raises(RequestError, match=wrong):
        GroundAVideo(boxes=boxes)
