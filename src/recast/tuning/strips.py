"""Sample strips of a customization: pictures of the subject above, and what the network makes of its token below."""

from collections.abc import Callable

import torch
from einops import rearrange
from torch import nn

from recast.denoising import Branch
from recast.diffusion.samplers import ddim
from recast.diffusion.schedule import finish
from recast.engine.monitor import ImagePixels, SampleDrawer
from recast.engine.rng import normal_noise, row_rng
from recast.tuning.customize import CachedPicture, PictureSet
from recast.tuning.tuned import TunableBackbone
from recast.types import Condition, Latents, Tokens

PICTURES, STEPS = 3, 8


def drawn_subject(
    backbone: TunableBackbone, pictures: PictureSet, seed: int, tokens: Callable[[], Tokens] | None = None
) -> SampleDrawer:
    """Draws three pictures of the subject, and below them samples in their structures at the largest t_s.

    Eight steps without guidance, with the same noise each time. tokens: of the subject, in place of the pictures' own.
    """
    count = len(pictures.own)
    chosen = [pictures.own[which * count // PICTURES] for which in range(min(PICTURES, count))]
    sigmas = backbone.sigmas(STEPS)

    def made(picture: CachedPicture, number: int) -> Latents:
        shown = picture.conditions[-1]
        branch = Branch(shown.cond if tokens is None else tokens(), temporal=False)
        noise = normal_noise(row_rng(seed, 0, number), picture.latents.shape).to(picture.latents)

        def denoise(x: Latents, sigma: float, condition: Condition) -> Latents:
            return backbone.denoise_branches(x, sigma, condition, [branch])[0]

        return finish(ddim(denoise, sigmas[0] * noise, sigmas, shown), sigmas[-1])

    def samples(_network: nn.Module) -> ImagePixels:
        rows = [torch.cat([each.latents for each in chosen])]
        rows.append(torch.cat([made(each, number) for number, each in enumerate(chosen)]))
        shown = torch.stack([backbone.decode(row) for row in rows])
        return rearrange(shown, "row n c h w -> c (row h) (n w)")

    return samples
