"""Augmentation by a model's autoencoder: pictures are encoded, their latents disturbed a little, and decoded."""

import numpy as np
import torch
from einops import rearrange

from recast.editing.loaded import Model
from recast.evaluation.judge.dataset import Decode, Pictures

MOST_NOISE = 0.15
"""Standard deviations of noise on the latents, which have about one themselves."""
AT_ONCE = 10


def decoded_by(model: str) -> Decode:
    """The way through the autoencoder of this model and back, a little noise on the latents."""
    backbone = Model.loaded(model, device="cpu", dtype="float32").backbone

    def decode(pictures: Pictures, rng: np.random.Generator) -> Pictures:
        shown = rearrange(torch.from_numpy(pictures), "b h w c -> b c h w").contiguous()
        back = []
        for group in shown.split(AT_ONCE):
            latents = backbone.encode(group)
            noise = torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32))
            back.append(backbone.decode(latents + rng.uniform(0, MOST_NOISE) * noise))
        return rearrange(torch.cat(back), "b c h w -> b h w c").numpy()

    return decode
