"""Frames laid out as the cells of pictures, so that an image network makes them alike: RAVE, arXiv:2312.04524."""

from dataclasses import replace

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from recast.denoising import Denoiser
from recast.errors import RequestError
from recast.types import Condition, Latents, Picks


def gridded(denoise: Denoiser, side: int, seed: int = 0) -> Denoiser:
    """Denoises grids of `side` x `side` frames, each grid as one image; structure channels are laid out alike.

    Which frames share a grid is drawn anew at each noise level, from `seed` and the level alone. The last grid is
    filled up with frames that have a cell already, whose second answers are dropped. Grids go through one at a time, so
    memory is that of one grid; its number is that of its first cell. Raises RequestError for tokens that differ by
    frame.
    """

    def gridded_denoise(x: Latents, sigma: float, condition: Condition) -> Latents:
        order = grid_order(len(x), side, sigma, seed).to(x.device)
        grids = [denoise(tiled(x[each], side), sigma, _conditioned(condition, each, side)) for each in order]
        clean = torch.empty_like(x)
        clean[order.flatten()[: len(x)]] = torch.cat([untiled(grid, side) for grid in grids])[: len(x)]
        return clean

    return gridded_denoise


def grid_order(count: int, side: int, sigma: float, seed: int = 0) -> Int[Tensor, "grids cells"]:
    """The frames of each grid, row by row: a permutation of all frames, repeated until grids are full."""
    rng = torch.Generator().manual_seed((seed * 1_000_003 + hash(sigma)) % 2**63)
    order, cells = torch.randperm(count, generator=rng), side * side
    grids = -(-count // cells)
    return rearrange(order.repeat(-(-grids * cells // count))[: grids * cells], "(g c) -> g c", c=cells)


def tiled(maps: Float[Tensor, "cells c h w"], side: int) -> Float[Tensor, "1 c hh ww"]:
    """Maps of side * side frames as one of that many times the size, row by row."""
    return rearrange(maps, "(a b) c h w -> 1 c (a h) (b w)", a=side)


def untiled(grid: Float[Tensor, "1 c hh ww"], side: int) -> Float[Tensor, "cells c h w"]:
    """The inverse of `tiled`."""
    return rearrange(grid, "1 c (a h) (b w) -> (a b) c h w", a=side, b=side)


def _conditioned(condition: Condition, picks: Picks, side: int) -> Condition:
    if condition.cond.ndim > 2 or condition.uncond.ndim > 2:
        raise RequestError("a prompt that differs by frame cannot condition a grid of frames; use one for the clip")
    if condition.residuals is not None:
        raise RequestError("features of a control network are of frames, not of grids of them; leave the residuals out")
    first, cells = condition.at(picks[:1]), condition.at(picks)
    controls = tuple(replace(each, pictures=tiled(each.pictures, side)) for each in cells.controls)
    structure_channels = None if cells.structure_channels is None else tiled(cells.structure_channels, side)
    return replace(first, structure_channels=structure_channels, controls=controls)
