"""Cost of one step of tuning at a model's own size, counted with the tuner's loss on PyTorch's meta device."""

from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPTextConfig, CLIPTextModel

from recast.backbones.stable_diffusion import StableDiffusionBackbone
from recast.backbones.stable_diffusion.prompt import PromptEncoder
from recast.backbones.tiny import PUBLISHED_SCHEDULER
from recast.diffusion.schedule import schedule
from recast.engine.config import BatchShard, LossOutput
from recast.training.cost import fused_attention
from recast.training.live_memory import Alive
from recast.tuning.config import TuneConfig
from recast.tuning.tuner import CachedClip, trained_parts, tuning_loss
from recast.types import Condition

FP32_BYTES = 4
STATES = 4
"""What is kept for a trained weight: itself, its gradient, and AdamW's two moments."""


@dataclass(frozen=True)
class TuningCost:
    """Cost of a step. flops: twice the multiply-adds, forward and backward. weights, trained: number of each.

    activations: peak bytes of what lives through the step besides weights, their gradients and moments. memory: with
    all of them in fp32.
    """

    flops: int
    weights: int
    trained: int
    activations: int

    @property
    def memory(self) -> int:
        """Peak bytes in fp32, without what libraries allocate."""
        return self.activations + FP32_BYTES * (self.weights + STATES * self.trained)


def stable_diffusion_1(*, narrower: int = 1) -> StableDiffusionBackbone:
    """Stable Diffusion 1.5 by its published configuration, with random weights, on torch's default device.

    narrower: divides the width of all its networks, for a backbone of the same shape that a processor can run.
    """
    widths = (320 // narrower, 640 // narrower, 1280 // narrower, 1280 // narrower)
    unet: dict[str, Any] = {"sample_size": 64, "cross_attention_dim": 768 // narrower, "attention_head_dim": 8}
    vae: dict[str, Any] = {"layers_per_block": 2, "latent_channels": 4, "sample_size": 512}
    kinds = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    text = CLIPTextConfig(
        hidden_size=768 // narrower, intermediate_size=3072 // narrower, num_hidden_layers=12, num_attention_heads=12
    )
    groups = 32 // narrower
    with torch.device("cpu"):  # levels are numbers, on whatever device the networks are
        levels = schedule(PUBLISHED_SCHEDULER)
    return StableDiffusionBackbone(
        unet=UNet2DConditionModel(block_out_channels=widths, norm_num_groups=groups, **unet).requires_grad_(False),
        vae=AutoencoderKL(
            block_out_channels=tuple(width // narrower for width in (128, 256, 512, 512)),
            norm_num_groups=groups,
            **kinds,
            **vae,
        ).requires_grad_(False),
        prompt=PromptEncoder(CLIPTextModel(text).requires_grad_(False), None, torch.device("cpu")),
        schedule=levels,
    )


def tuning_cost(config: TuneConfig, size: tuple[int, int] = (64, 64)) -> TuningCost:
    """The cost of a step of tuning Stable Diffusion 1.5 on latents of `size` rows and columns."""
    with torch.device("meta"):
        backbone = stable_diffusion_1()
        parts = trained_parts(backbone, config)
        tokens = torch.empty(77, 768)
        clip = CachedClip(torch.empty(config.frames, 4, *size), Condition(tokens, tokens), "", {})
    counter, alive = FlopCounterMode(display=False), Alive()
    with parts.trained(config.over_frames) as network:
        for weight in network.parameters():
            if weight.requires_grad:  # counted with the weights; all are kept until the step is made
                weight.register_post_accumulate_grad_hook(_forget)
        sizes = [(weight.numel(), weight.requires_grad) for weight in network.parameters()]
        with counter, alive, fused_attention():
            answer = tuning_loss(parts.backbone, clip, config)(network, BatchShard(0))
            assert isinstance(answer, LossOutput)
            answer.mean.backward()
    trained = sum(size for size, learns in sizes if learns)
    return TuningCost(counter.get_total_flops(), sum(size for size, _ in sizes), trained, alive.most)


def _forget(weight: nn.Parameter) -> None:
    weight.grad = None
