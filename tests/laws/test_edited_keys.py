"""Edited keyframes carried through a clip: where a mark arrives on worlds, identities, and several keys."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from recast.conditions.flow import ClipFlow
from recast.conditions.warping import composed
from recast.errors import RequestError, ShapeError
from recast.substrates.between import flow_between_frames
from recast.substrates.carriers import CARRIERS, CarrierInputs, FlowCarrier
from recast.substrates.found import fit_of
from recast.substrates.keys import EditedKey, keyed
from recast.world import rendered, sampled

FRAMES = 5
SIDE = 5


@cache
def world(seed=4):
    scene = sampled(seed, move="pan", look="plain", textured=1.0, num_subjects=1, framing=1.5, weather="sun")
    scene = replace(scene, subjects=tuple(replace(each, gait=0.0) for each in scene.subjects))
    clip = rendered(scene, num_frames=FRAMES, height=72, width=96, stride_seconds=0.08)
    frames = torch.from_numpy(np.ascontiguousarray(clip.frames.transpose(0, 3, 1, 2)))
    return frames, clip.masks.astype(int), clip.flow


@cache
def carrier(name):
    frames, masks, _ = world()
    mask = torch.from_numpy(masks > 0).float()[:, None]
    return CARRIERS[name](
        CarrierInputs(frames, lambda kind: fit_of(frames, kind, mask if kind == "atlas" else None, passes=2).run())
    )


def followed(rows, columns, masks, flow):
    """Where points of frame 0 truly are in each frame, and whether they are seen there: on the same body, inside."""
    y, x = rows.astype(float), columns.astype(float)
    body, seen = masks[0][rows, columns], np.ones(len(rows), bool)
    yield y, x, seen
    for frame in range(FRAMES - 1):
        at = np.clip(y.round().astype(int), 0, flow.shape[1] - 1), np.clip(x.round().astype(int), 0, flow.shape[2] - 1)
        x, y = x + flow[frame][at][:, 0], y + flow[frame][at][:, 1]
        inside = (x >= 0) & (y >= 0) & (x <= flow.shape[2] - 1) & (y <= flow.shape[1] - 1)
        at = np.clip(y.round().astype(int), 0, flow.shape[1] - 1), np.clip(x.round().astype(int), 0, flow.shape[2] - 1)
        seen &= inside & (masks[frame + 1][at] == body)
        yield y, x, seen


def marked(name, row, column):
    """How far the centre of a mark, painted on frame 0 of the world, is from its true place in the other frames."""
    frames, masks, flow = world()
    painted = frames[0].clone()
    painted[:, row : row + SIDE, column : column + SIDE] = torch.tensor([255, 0, 255], dtype=torch.uint8)[:, None, None]
    key = {0: EditedKey(frames[0], painted)}
    rows, columns = np.mgrid[row : row + SIDE, column : column + SIDE].reshape(2, -1)
    errors = []
    for frame, (y, x, seen) in enumerate(followed(rows, columns, masks, flow)):
        made = keyed(frames[frame], frame, key, carrier(name))
        found = np.argwhere((made.float() - frames[frame].float()).abs().amax(0).numpy() > 60)
        if seen.all():
            assert len(found) >= SIDE
            errors.append(float(np.hypot(*(found.mean(0) - (y.mean(), x.mean())))))
    return errors


@pytest.mark.parametrize("name", CARRIERS)
def test_a_mark_on_a_keyframe_arrives_along_the_true_flow(name):
    masks = world()[1]
    on_body = np.argwhere(masks[0] > 0).mean(0).astype(int) - SIDE // 2
    for place in (tuple(on_body), (12, 40), (50, 20)):
        errors = marked(name, *place)
        assert len(errors) > 2
        assert max(errors) < 2


@pytest.mark.parametrize("name", ["flow", "canonical"])
def test_keyframes_that_were_not_changed_change_nothing(name):
    frames = world()[0]
    keys = {frame: EditedKey(frames[frame], frames[frame]) for frame in (1, 3)}
    for number in range(FRAMES):
        assert torch.equal(keyed(frames[number], number, keys, carrier(name)), frames[number])


def test_a_keyframe_is_given_as_it_was_edited_and_between_two_each_counts_by_its_nearness():
    still = world()[0][:1].expand(5, -1, -1, -1).contiguous()
    one, other = torch.full_like(still[0], 40), torch.full_like(still[0], 200)
    keys = {0: EditedKey(still[0], one), 4: EditedKey(still[4], other)}
    by_flow = FlowCarrier(ClipFlow.of(still))
    made = [keyed(still[number], number, keys, by_flow).float().mean() for number in range(5)]
    assert_close(torch.stack(made), torch.tensor([40.0, 80, 120, 160, 200]), atol=0.6, rtol=0)
    alone = {2: EditedKey(still[2], one)}
    assert all(torch.equal(keyed(still[number], number, alone, by_flow), one) for number in range(5))


def test_what_a_changed_look_does_not_show_gets_its_colours_and_what_a_mark_does_not_show_stays():
    still = world()[0][:2]
    hidden = FlowCarrier(ClipFlow(torch.full((1, 2, 72, 96), 500.0), torch.full((1, 2, 72, 96), -500.0)))
    inverted = EditedKey(still[0], 255 - still[0])
    made = keyed(still[1], 1, {0: inverted}, hidden)
    assert (made.float() - (255 - still[1].float())).abs().mean() < 3
    painted = still[0].clone()
    painted[:, :9, :9] = 255
    assert torch.equal(keyed(still[1], 1, {0: EditedKey(still[0], painted)}, hidden), still[1])


def test_the_way_over_a_canvas_there_and_back_ends_where_it_began():
    made = carrier("canonical").substrate
    flow, seen = flow_between_frames(made, 0, 1, 4)
    back, returned = flow_between_frames(made, 0, 4, 1)
    away = composed(flow, back).square().sum(1, keepdim=True).sqrt()
    both = (seen > 0.9) & (returned > 0.9)
    assert both.float().mean() > 0.5
    assert away[both].median() < 0.1
    same, whole = flow_between_frames(made, 0, 2, 2)
    assert same.abs().max() < 1e-3
    assert whole.min() == 1


def test_edited_frames_of_another_size_and_none_at_all_are_refused():
    frames = world()[0]
    with pytest.raises(ShapeError, match="48x48 and the clip 96x72"):
        EditedKey(frames[0], torch.zeros(3, 48, 48, dtype=torch.uint8))
    with pytest.raises(RequestError, match="no edited keyframe"):
        keyed(frames[0], 0, {}, carrier("flow"))
