"""Frames laid out in grids, points followed along flow, and what is carried there."""

from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from benchmarks.reference_checks.published import Check, Published, StandIn, gap
from benchmarks.reference_checks.toys import CHANNELS, SIDE, attended, attention_layer, network, normal
from einops import rearrange

from recast.conditions.flow import ClipFlow
from recast.conditions.tracks import PointTracks
from recast.conditions.warping import warped
from recast.diffusion.grids import grid_order, gridded
from recast.diffusion.x0_hooks import match_statistics
from recast.networks.attention_recipes import ExtendedAttention, Trajectories, TrajectoryAttention
from recast.types import Condition, Latents

MOTION = (1, 0), (0, -1), (2, 1)
"""Cells down and to the right, from each frame to the next."""
FRAMES = len(MOTION) + 1
STILL = normal(1, CHANNELS, seed=7)


def grids(source: Published) -> float:
    """RAVE's shuffled grids, through a network that mixes the cells of a grid, and back in order."""
    side, frames, sigma, seed = 2, normal(8, CHANNELS, SIDE, SIDE), 1.5, 3
    order = grid_order(len(frames), side, sigma, seed)
    shuffled = StandIn(torch, randperm=lambda _count: order.flatten())
    path = "utils/feature_utils.py"
    layout = Published(source.repository, path).load("flatten_grid", "unflatten_grid", "prepare_key_grid_latents")
    shuffle = source.load("RAVE.shuffle_latents", torch=shuffled, fu=layout).shuffle_latents
    state = SimpleNamespace(total_frame_number=8, sample_size=2, grid_frame_number=4, grid=[side, side])
    rows = [layout.unflatten_grid(torch.cat(list(four), -1)[None], [side, side]) for four in frames.split(4)]
    latents, indices, _ = shuffle(state, torch.cat(rows), torch.cat(rows), list(range(8)))
    edited = torch.cat([network(grid[None], 0.5, STILL) for grid in latents])
    cells = torch.cat([layout.flatten_grid(grid[None], [side, side]) for grid in edited], -1)
    theirs = torch.stack(cells.split(SIDE, -1))[:, 0][torch.tensor(indices).argsort()]

    def denoise(x: Latents, _sigma: float, condition: Condition) -> Latents:
        return network(x, 0.5, condition.cond)

    ours = gridded(denoise, side, seed)(frames, sigma, Condition(cond=STILL, uncond=STILL))
    return gap(ours, theirs)


def _flow() -> ClipFlow:
    """The motion as flow between frames, the same at every place."""
    down, right = torch.tensor(MOTION).float().T
    forward = torch.stack([right, down], 1)[..., None, None].expand(-1, -1, SIDE, SIDE)
    return ClipFlow(forward.contiguous(), -forward)


def along_flow(source: Published) -> float:
    """FLATTEN's trajectories of the motion, and its attention to all frames and then along them."""
    hidden = normal(FRAMES, SIDE**2, 8)
    paths = (
        Published(source.repository, "models/util.py")
        .load(
            "sample_trajectories",
            "keys_with_same_value",
            "find_duplicates",
            "neighbors_index",
            changed={
                "[64, 32, 16, 8]": f"[{SIDE}]",
                "from torchvision.models.optical_flow import Raft_Large_Weights\n": "\n",
                "from torchvision.models.optical_flow import raft_large\n": "\n",
            },
            print=lambda *_: None,
            preprocess=lambda *frames: frames[:2],
            **_estimator(),
        )
        .sample_trajectories("", "cpu")
    )
    layer = source.load("FullyFrameAttention", changed={"h in [64]": f"h in [{SIDE}]"})
    theirs = layer.FullyFrameAttention(8, heads=2, dim_head=4).double().requires_grad_(False)
    ours = attention_layer()
    theirs.load_state_dict(ours.state_dict())
    given = {"traj": paths[f"traj{SIDE}"], "mask": paths[f"mask{SIDE}"], "old_qk": 0}
    twice = theirs(torch.cat([hidden.flip(0), hidden]), video_length=FRAMES, **given)
    tracks, numbers = PointTracks.of(_flow()), tuple(range(FRAMES))
    trajectories = Trajectories.of_paths(tracks.places, tracks.reached, numbers, (SIDE, SIDE))
    return gap(attended(ours, hidden, TrajectoryAttention(trajectories), ExtendedAttention()), twice[FRAMES:])


def _estimator() -> dict[str, Any]:
    """The flow of the motion, as the published code asks RAFT for it: in pixels of frames of 512."""
    shares = _flow().forward * 512 / SIDE
    flow = torch.nn.functional.interpolate(shares, scale_factor=512 / SIDE)
    network_of_flow = SimpleNamespace(eval=lambda: lambda *_: [flow])
    network_of_flow.to = lambda _device: network_of_flow
    weights = SimpleNamespace(DEFAULT=SimpleNamespace(transforms=lambda: None))
    clip = torch.zeros(FRAMES, 3, 1, 1), None, None
    torchvision = ModuleType("torchvision")
    torchvision.io = SimpleNamespace(read_video=lambda *_, **__: clip)
    return {"raft_large": lambda **_: network_of_flow, "Raft_Large_Weights": weights, "torchvision": torchvision}


def averaged(source: Published) -> float:
    """MeDM's mean of all pixels of a trajectory."""
    pixels, flow = normal(FRAMES, 3, SIDE, SIDE).float(), _flow()
    backward = rearrange(flow.backward.flip(1), "s yx h w -> 1 s h w yx")
    hidden = torch.zeros(1, FRAMES - 1, SIDE, SIDE, dtype=torch.bool)
    coding = source.load("FlowCoding").FlowCoding(backward, hidden, False, None)
    return gap(PointTracks.of(flow).mean(pixels), coding(pixels))


def carried(source: Published) -> float:
    """Rerender's warping along flow that stays inside the picture."""
    pictures, push = normal(2, 3, SIDE, SIDE), normal(2, 2, SIDE, SIDE, seed=1).clamp(-1.5, 1.5)
    push[..., :2, :] = push[..., -2:, :] = push[..., :2] = push[..., -2:] = 0
    published = source.load(
        "flow_warp", "bilinear_sample", "coords_grid", changed={"torch.arange(w))": "torch.arange(w), indexing='ij')"}
    )
    return gap(warped(pictures, push), published.flow_warp(pictures, push))


def matched_statistics(source: Published) -> float:
    """Rerender's AdaIN of predicted clean latents to the first frame's."""
    first, later = normal(1, CHANNELS, SIDE, SIDE), 2 * normal(1, CHANNELS, SIDE, SIDE, seed=1) + 0.3
    gc: Any = SimpleNamespace(collect=lambda: None)
    changed = {".var(dim=2)": ".var(dim=2, correction=0)"}
    made = source.load("AttentionControl", "calc_mean_std", changed=changed, gc=gc).AttentionControl
    control = made(0.9, (0, 1), (0, 1), (0, 1), (2, 3))
    control.set_total_step(1)
    control.set_task("initfirst")
    control.update_x0(first)
    control.set_task("keepx0")
    return gap(match_statistics(later, first), control.update_x0(later))


CONTROLLER = "williamyang1991/Rerender_A_Video", "src/controller.py"
CHECKS = (
    Check("rave", "rehg-lab/RAVE", "pipelines/sd_controlnet_rave.py", "shuffle_latents and the grids / gridded", grids),
    Check(
        "flatten",
        "yrcong/flatten",
        "models/attention.py",
        "sample_trajectories, FullyFrameAttention / PointTracks, TrajectoryAttention",
        along_flow,
        "which of two trajectories that meet goes on, drawn there; sizes: the finest grid is 64 there",
    ),
    Check(
        "medm",
        "aiiu-lab/MeDM",
        "diffusers-0.20.0/src/diffusers/pipelines/medm/pipeline_medm.py",
        "FlowCoding / PointTracks.mean",
        averaged,
        "motion by which pixels of one frame point at one: they share its code there; here motion is of whole pixels",
    ),
    Check(
        "rerender",
        CONTROLLER[0],
        "flow/flow_utils.py",
        "flow_warp / warped",
        carried,
        "outside of the picture: black there, its edge in ours",
    ),
    Check(
        "rerender",
        *CONTROLLER,
        "update_x0 (AdaIN) / match_statistics",
        matched_statistics,
        "the first frame's variance, over n - 1 places there and over n in the frame that is changed",
    ),
)
