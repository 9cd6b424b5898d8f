"""What training and tuning make of weights and schedules."""

import torch
import torch.nn.functional as F
from benchmarks.reference_checks.published import Check, Published, gap
from benchmarks.reference_checks.toys import normal
from torch import nn

from recast.diffusion.schedule import rescale_zero_snr
from recast.networks.simda import SpatialAdapter, TemporalAdapter
from recast.networks.weight_changes import LowRankChange, SpectralChange
from recast.tuning.losses import debiased


def shifted_spectrum(source: Published) -> float:
    """SAVE's convolution with shifted singular values, some of them below 0."""
    layer = source.load("SVDConv2d").SVDConv2d(6, 8, 3, scale=0.7, padding=1)
    base = normal(8, 6, 3, 3).float() / 7
    layer.weight = nn.Parameter(base)
    shift = normal(8, seed=1).float()
    layer.delta = nn.Parameter(shift)
    change = SpectralChange(base)
    change.scale, change.shift = 0.7, nn.Parameter(shift)
    assert (change.values + 0.7 * shift < 0).any(), "some singular values would be negative"
    x = normal(2, 6, 5, 5, seed=2).float()
    return gap(F.conv2d(x, change(base), layer.bias, padding=1), layer(x))


def shift_regularizer(source: Published) -> float:
    """SAVE's cost of shifts, one statement of its training loop, over two weights."""
    changes = [SpectralChange(normal(8, 6, seed=seed)) for seed in (0, 1)]
    for seed, change in enumerate(changes):
        change.shift = nn.Parameter(normal(6, seed=2 + seed))
    given = {
        "delta_values": [change.shift for change in changes],
        "singular_values_initial": [change.values for change in changes],
    }
    theirs = [source.assigned("L_reg", within="main", i=i, **given)["L_reg"] for i in range(2)]
    return gap(torch.stack([change.penalty() for change in changes]), torch.stack(theirs))


def low_rank(source: Published) -> float:
    """MotionDirector's linear layer with a low-rank change."""
    layer = source.load("LoraInjectedLinear").LoraInjectedLinear(6, 8, r=3, scale=0.7).double().eval()
    up, down, x = normal(8, 3), normal(3, 6, seed=1), normal(5, 6, seed=2)
    layer.lora_up.weight, layer.lora_down.weight = nn.Parameter(up), nn.Parameter(down)
    change = LowRankChange(layer.linear.weight.detach(), rank=3)
    change.up, change.down, change.scale = nn.Parameter(up), nn.Parameter(down), 0.7
    return gap(F.linear(x, change(layer.linear.weight)), layer(x))


def debiased_loss(source: Published) -> float:
    """MotionDirector's appearance-debiased loss, the mean over all anchors that it may draw."""
    predicted, true = normal(2, 4, 5, 3, 3), normal(2, 4, 5, 3, 3, seed=1)
    given = {"model_pred": predicted, "target": true}
    names = ("beta", "alpha", "model_pred_decent", "target_decent", "loss_ad_temporal")
    drawn = [source.assigned(*names, within="finetune_unet", ran_idx=i, **given)[names[-1]] for i in range(5)]
    clips = zip(predicted, true, strict=True)
    ours = [torch.stack([debiased(*(each.transpose(0, 1) for each in pair)) for pair in clips]).mean()]
    # Each number beside one anchor's, so that there is something to compare where both are alone.
    return gap(
        torch.stack([*ours, drawn[0].double()]), torch.stack([torch.stack(drawn).mean().double(), drawn[0].double()])
    )


def adapter(source: Published) -> float:
    """SimDA's adapter behind self-attention and beside the feed-forward layer, in one class there."""
    gaps = []
    for skip in (True, False):
        layer, own = source.load("Adapter").Adapter(8, skip_connect=skip).double(), SpatialAdapter(8).double()
        own.down.load_state_dict(layer.D_fc1.state_dict())
        own.up.load_state_dict(layer.D_fc2.state_dict())
        x = normal(3, 5, 8)
        gaps.append(gap(own(x) + x if skip else own(x), layer(x)))
    return max(gaps)


def temporal_adapter(source: Published) -> float:
    """SimDA's adapter over frames."""
    narrow = {"d_model//2": "d_model//4"}
    layer, own = source.load("Temp_Adapter", changed=narrow).Temp_Adapter(8).double(), TemporalAdapter(8).double()
    layer.stadapt_up_1.weight = nn.Parameter(normal(8, 2, 1, 1, 1))
    for ours, theirs in ((own.down, layer.stadapt_down_1), (own.up, layer.stadapt_up_1)):
        ours.load_state_dict({"weight": theirs.weight.flatten(1), "bias": theirs.bias})
    conv = layer.stadapt_conv3d_1
    own.over_frames.load_state_dict({"weight": conv.weight[..., 0, 0], "bias": conv.bias})
    x = normal(2, 5, 8, 3, 4)
    return gap(own(x).transpose(1, 2), layer(x.transpose(1, 2)))


def terminal_zero(source: Published) -> float:
    """Zero signal at the last timestep, as MotionDirector rescales its schedule."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    theirs = source.load("enforce_zero_terminal_snr").enforce_zero_terminal_snr(betas)
    return gap(rescale_zero_snr(torch.cumprod(1 - betas, 0)), torch.cumprod(1 - theirs, 0))


CHECKS = (
    Check(
        "one-shot tuning",
        "nazmul-karim170/SAVE-Text2Video-Diffusion",
        "video_utils/models/save.py",
        "SVDConv2d / SpectralChange",
        shifted_spectrum,
    ),
    Check(
        "one-shot tuning",
        "nazmul-karim170/SAVE-Text2Video-Diffusion",
        "Edit_Video_SAVE.py",
        "L_reg of main / SpectralChange.penalty",
        shift_regularizer,
    ),
    Check(
        "one-shot tuning",
        "showlab/MotionDirector",
        "utils/lora.py",
        "LoraInjectedLinear / LowRankChange",
        low_rank,
        "dropout of .1 while it is trained, which ours has not",
    ),
    Check(
        "one-shot tuning",
        "showlab/MotionDirector",
        "MotionDirector_train.py",
        "loss_ad_temporal of finetune_unet / debiased",
        debiased_loss,
        "the anchor, drawn there and each in turn in ours",
    ),
    Check(
        "one-shot tuning",
        "ChenHsing/SimDA",
        "simda/models/attention.py",
        "Adapter / SpatialAdapter",
        adapter,
        "what the one beside the feed-forward layer reads: features there, their normalized ones in ours",
    ),
    Check(
        "one-shot tuning",
        "ChenHsing/SimDA",
        "simda/models/unet_blocks.py",
        "Temp_Adapter / TemporalAdapter",
        temporal_adapter,
        "its width: half of the channels there, a quarter in ours",
    ),
    Check(
        "schedules",
        "showlab/MotionDirector",
        "MotionDirector_train.py",
        "enforce_zero_terminal_snr / rescale_zero_snr",
        terminal_zero,
    ),
)
