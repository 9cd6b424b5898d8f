"""A denoising step of Gen-1's network and of its peers at equal widths, with random weights, under guidance."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_3d_condition import UNet3DConditionModel
from diffusers.models.unets.unet_motion_model import MotionAdapter, UNetMotionModel
from torch import Tensor, nn

from recast.bench.case import BenchCase, BenchConfig, Floor
from recast.errors import known
from recast.evaluation.meta_networks import counted
from recast.model.folder import quiet
from recast.networks.placement import placed
from recast.networks.spacetime import SpaceTimeUNet, inflate

WIDTHS = {"tiny": (32, 64, 64, 64), "middle": (96, 192, 384, 384), "full": (320, 640, 1280, 1280)}
"""Channels by resolution; full is Stable Diffusion 1.5's, and Gen-1's."""
TOKENS, TOKEN_WIDTH, BRANCHES = 77, 768, 2
PIXELS = {"tiny": (128, 224), "middle": (128, 224), "full": (256, 448)}
"""Rows and columns of a clip, by width."""


@dataclass(frozen=True)
class RandomClip:
    """What a network is given: two branches of a clip's latents, and of its depth in pixels."""

    frames: int
    size: tuple[int, int]
    device: torch.device
    dtype: torch.dtype

    def latents(self, channels: int) -> Tensor:
        """[branches, t, channels, y, x]."""
        return self._drawn(BRANCHES, self.frames, channels, self.size[0] // 8, self.size[1] // 8)

    def tokens(self) -> Tensor:
        """[branches, n, d]."""
        return self._drawn(BRANCHES, TOKENS, TOKEN_WIDTH)

    def depth(self) -> Tensor:
        """[branches t, 3, h, w]."""
        return self._drawn(BRANCHES * self.frames, 3, *self.size)

    def _drawn(self, *shape: int) -> Tensor:
        return torch.randn(shape, device=self.device, dtype=self.dtype)


def cases(config: BenchConfig) -> list[BenchCase]:
    """Ours, with its layers over time and without; AnimateDiff with a ControlNet for depth; and ModelScope's UNet3D."""
    width = known("width", config.width, WIDTHS)
    rows, columns = PIXELS[width]
    size = f"{width} width, {config.frames} frames of {columns}x{rows}, {BRANCHES} branches"
    clip, made = RandomClip(config.frames, (rows, columns), config.device, config.dtype), []
    for name, (make, peer) in _NETWORKS.items():
        work, floor = make(WIDTHS[width], clip), _floor(make, WIDTHS[width], replace(clip, device=torch.device("meta")))
        made.append(BenchCase("networks", name, size, work, 1, "step", floor, peer))
    return made


Step = Callable[[], object]
Network = TypeVar("Network", bound=nn.Module)


def _floor(make: Callable[[tuple[int, ...], RandomClip], Step], widths: tuple[int, ...], clip: RandomClip) -> Floor:
    cost = counted(make(widths, clip))
    return cost.flops, cost.moved


def _image(widths: tuple[int, ...], clip: RandomClip, extra: int = 0) -> UNet2DConditionModel:
    with clip.device, quiet():
        return UNet2DConditionModel(
            in_channels=4 + extra, block_out_channels=widths, cross_attention_dim=TOKEN_WIDTH, attention_head_dim=8
        )


def ready(network: Network, clip: RandomClip) -> Network:
    """Without gradients, and weights of convolutions channels last, which peers gain by too."""
    with quiet():
        network = network.to(dtype=clip.dtype).requires_grad_(False).eval()
    return nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)


def random_network(widths: tuple[int, ...], clip: RandomClip, *, extra: int) -> SpaceTimeUNet:
    """Gen-1's network with so many structure channels."""
    network = inflate(_image(widths, clip), extra_channels=extra, max_frames=clip.frames)
    for weight in network.temporal_parameters():  # new ones are zero
        nn.init.normal_(weight, std=0.02)
    return placed(ready(network, clip), clip.device)


def _ours(widths: tuple[int, ...], clip: RandomClip, *, over_time: bool) -> Step:
    network = random_network(widths, clip, extra=4)
    x, tokens, timestep = clip.latents(8), clip.tokens(), torch.full((BRANCHES,), 500, device=clip.device)
    return _without_gradients(lambda: network(x, timestep, tokens, video=over_time))


def _animatediff(widths: tuple[int, ...], clip: RandomClip) -> Step:
    image = _image(widths, clip)
    with clip.device, quiet():
        adapter = MotionAdapter(block_out_channels=widths)
        moving = UNetMotionModel.from_unet2d(image, adapter)
        assert isinstance(moving, UNetMotionModel), "it gives loading information only where that is asked for"
        network = ready(moving, clip)
        control = ready(ControlNetModel.from_unet(image), clip)
    x, tokens, depth = clip.latents(4), clip.tokens(), clip.depth()
    timestep = torch.tensor(500, device=clip.device)

    def step() -> object:
        images, words = x.flatten(0, 1), tokens.repeat_interleave(clip.frames, 0)
        down, middle = control(images, timestep, words, controlnet_cond=depth, return_dict=False)
        residuals = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
        return network(x.transpose(1, 2), timestep, words, **residuals, return_dict=False)

    return _without_gradients(step)


def _unet3d(widths: tuple[int, ...], clip: RandomClip) -> Step:
    head = 64 if widths[0] % 64 == 0 else 32
    with clip.device, quiet():
        network = UNet3DConditionModel(
            block_out_channels=widths,
            cross_attention_dim=TOKEN_WIDTH,
            attention_head_dim=head,
        )
    network = ready(network, clip)
    x, tokens, timestep = clip.latents(4).transpose(1, 2), clip.tokens(), torch.tensor(500, device=clip.device)
    return _without_gradients(lambda: network(x, timestep, tokens, return_dict=False))


def _without_gradients(step: Step) -> Step:
    def work() -> object:
        with torch.no_grad():
            return step()

    return work


_NETWORKS: dict[str, tuple[Callable[[tuple[int, ...], RandomClip], Step], bool]] = {
    "gen1": (partial(_ours, over_time=True), False),
    "gen1, layers over time off": (partial(_ours, over_time=False), False),
    "AnimateDiff + ControlNet": (_animatediff, True),
    "UNet3D of ModelScope": (_unet3d, True),
}
"""What makes a step of each network, and whether it is a peer."""
