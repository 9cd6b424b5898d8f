"""Gen-L-Video's, Ground-A-Video's and InstructPix2Pix's own parts, and perturbed-attention guidance."""

from types import SimpleNamespace

import einops
import torch
import torch.nn.functional as F
from benchmarks.reference_checks.published import Check, Published, gap
from benchmarks.reference_checks.toys import (
    CHANNELS,
    SIDE,
    attended,
    attention_layer,
    normal,
    prompts,
)
from torch import Tensor

from recast.conditions.flow import ClipFlow
from recast.denoising import Branch
from recast.diffusion.guidance import GuidanceTerm, cond, guided, perturbed_cond
from recast.diffusion.windows import shares, starts
from recast.methods.ground_a_video import still_noise
from recast.methods.instruct_pix2pix import with_picture_for_time
from recast.networks.attention_recipes import ExtendedAttention, PassAttention, towards_middle
from recast.networks.identity_attention import IdentityAttention
from recast.types import Condition, Latents

FRAMES, PLACES = 5, 9


def middle(source: Published) -> float:
    """Gen-L-Video's attention to the middle frame and to the neighbour towards it."""
    layer, hidden = attention_layer(), normal(FRAMES, PLACES, 8)
    changed = {"self.to_q(hidden_states, lora_id=lora_id)": "self.to_q(hidden_states)"}
    forward = source.load("BiCrossFrameAttention.forward", changed=changed).forward
    return gap(attended(layer, hidden, PassAttention(towards_middle)), forward(layer, hidden, video_length=FRAMES))


def co_denoised(source: Published) -> float:
    """Gen-L-Video's windows, and what they come to where each window has an answer of its own for each frame."""
    length, size, stride = 32, 16, 4
    views = source.load("get_views").get_views(length, size, stride)
    answers = normal(len(views), length)
    total, count = torch.zeros(2, length).double()
    for (start, end), answer in zip(views, answers, strict=True):
        total[start:end] += answer[start:end]
        count[start:end] += 1
    assert [start for start, _ in views] == starts(length, size, size - stride), "windows start elsewhere"
    return gap((shares(length, size, size - stride, even=True).double() * answers).sum(0), total / count)


def grounded_dense(source: Published) -> float:
    """Ground-A-Video's attention to all frames."""
    layer, hidden = attention_layer(), normal(FRAMES, PLACES, 8)

    def exact(q: Tensor, k: Tensor, v: Tensor, **_: object) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v)

    xformers = SimpleNamespace(ops=SimpleNamespace(memory_efficient_attention=exact))
    kind = source.load("CrossAttention", "SpatialTemporalAttention", xformers=xformers).SpatialTemporalAttention
    theirs = kind(8, 8, 8, heads=layer.heads, dim_head=4).double().requires_grad_(False)
    theirs.load_state_dict(layer.state_dict())
    return gap(attended(layer, hidden, ExtendedAttention()), theirs(hidden, clip_length=FRAMES))


def still(source: Published) -> float:
    """The noise of a second frame, the first one's where Ground-A-Video's map of motion is small."""
    moves, noise, threshold = normal(1, 2, SIDE, SIDE, seed=1), normal(2, CHANNELS, SIDE, SIDE), 0.4
    (magnitude,) = source.load("prepare_magnitude_map").prepare_magnitude_map([moves[0]])
    theirs = torch.where(magnitude > threshold, noise[1], noise[0])
    flow = ClipFlow(forward=-moves, backward=moves)
    return gap(still_noise(noise, flow, threshold)[1], theirs)


def two_guidances(source: Published) -> float:
    """InstructPix2Pix's prediction, guided towards the picture and from there towards the words."""
    words, picture, x, sigma = (
        prompts(),
        torch.ones(1, CHANNELS, SIDE, SIDE).double(),
        normal(1, CHANNELS, SIDE, SIDE),
        2.0,
    )

    def answer(z: Tensor, tokens: Tensor, seen: Tensor) -> Tensor:
        return torch.tanh(z + tokens.mean(-2)[..., None, None] + 0.5 * seen)

    def network(z: Tensor, _sigma: Tensor, cond: dict[str, list[Tensor]]) -> Tensor:
        rows = zip(z, cond["c_crossattn"][0], cond["c_concat"][0], strict=True)
        return torch.cat([answer(each[None], tokens, seen[None]) for each, tokens, seen in rows])

    def denoise_branches(z: Latents, _sigma: float, _condition: Condition, branches: list[Branch]) -> list[Latents]:
        assert not any(branch.temporal for branch in branches), "frames are pictures apart"
        return [answer(z, branch.tokens, picture * branch.picture) for branch in branches]

    holder = SimpleNamespace(inner_model=network)
    given = {"c_crossattn": [words["target"][None]], "c_concat": [picture]}
    blank = {"c_crossattn": [words["null"][None]], "c_concat": [0 * picture]}
    forward = source.load("CFGDenoiser.forward", einops=einops).forward
    theirs = forward(holder, x, torch.tensor([sigma]), given, blank, 7.5, 1.5)
    condition = Condition(cond=words["target"], uncond=words["null"])
    return gap(guided(with_picture_for_time(denoise_branches), 7.5, 1.5)(x, sigma, condition), theirs)


def identity(source: Published) -> float:
    """A layer whose perturbed branch gives each place its own value, beside two that attend."""
    layer, branches = attention_layer(), [normal(FRAMES, PLACES, 8, seed=seed) for seed in range(3)]
    processor = source.load("PAGCFGIdentitySelfAttnProcessor2_0").PAGCFGIdentitySelfAttnProcessor2_0()
    hook = IdentityAttention(frozenset({2}), frozenset())
    ours = [attended(layer, hidden, hook, branch=number) for number, hidden in enumerate(branches)]
    return gap(torch.cat(ours), processor(layer, torch.cat(branches)))


def perturbed(source: Published) -> float:
    """Guidance away from the perturbed branch, beside that of content."""
    null, wanted, disturbed = (normal(FRAMES, CHANNELS, SIDE, SIDE, seed=seed) for seed in range(3))
    published = source.load("PAGMixin._apply_perturbed_attention_guidance")._apply_perturbed_attention_guidance
    holder, stacked = SimpleNamespace(_get_pag_scale=lambda _time: 3.0), torch.cat([null, wanted, disturbed])
    condition = Condition(cond=torch.ones(1, 1), uncond=torch.zeros(1, 1))

    def denoise_branches(_x: Latents, _sigma: float, _condition: Condition, branches: list[Branch]) -> list[Latents]:
        return [disturbed if each.perturbed else wanted if each.tokens is condition.cond else null for each in branches]

    denoise = guided(denoise_branches, 7.5, more=(GuidanceTerm(3.0, cond, perturbed_cond),))
    return gap(denoise(null, 1.0, condition), published(holder, stacked, True, 7.5, 500))


GEN_L, GROUND = ("gen-l-video", "G-U-N/Gen-L-Video"), ("ground-a-video", "Ground-A-Video/Ground-A-Video")
PAG = "guidance pag", "huggingface/diffusers"
CHECKS = (
    Check(*GEN_L, "glv/models/attention.py", "BiCrossFrameAttention / towards_middle", middle),
    Check(
        *GEN_L,
        "glv/pipelines/pipeline_tuning_free.py",
        "get_views and the mean of windows / starts, shares",
        co_denoised,
        "clips whose last window is no whole stride from the one before",
    ),
    Check(*GROUND, "ldm/modules/attention.py", "SpatialTemporalAttention / ExtendedAttention", grounded_dense),
    Check(
        *GROUND,
        "controlnet/utils.py",
        "prepare_magnitude_map / still_noise",
        still,
        "motion is a share of each pair's largest there, of the clip's in ours; coarser grids, averaged there, and the "
        "largest in ours",
    ),
    Check(
        "instruct-pix2pix",
        "timothybrooks/instruct-pix2pix",
        "edit_cli.py",
        "CFGDenoiser / with_picture_for_time",
        two_guidances,
    ),
    Check(
        *PAG,
        "src/diffusers/models/attention_processor.py",
        "PAGCFGIdentitySelfAttnProcessor2_0 / IdentityAttention",
        identity,
    ),
    Check(
        *PAG,
        "src/diffusers/pipelines/pag/pag_utils.py",
        "_apply_perturbed_attention_guidance / GuidanceTerm",
        perturbed,
    ),
)
