"""A CLIP image encoder for pictures of another size."""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn
from transformers import CLIPVisionModelWithProjection


@torch.no_grad()
def resize_positions(image: CLIPVisionModelWithProjection, side: int) -> None:
    """Lets the encoder take pictures of `side` px: its position embeddings are interpolated bicubically, in place."""
    places = image.vision_model.embeddings
    before = math.isqrt(places.position_embedding.num_embeddings - 1)
    after = side // places.patch_embedding.kernel_size[0]
    if before == after:
        return
    first, grid = places.position_embedding.weight.split([1, before * before])
    grid = rearrange(grid, "(y x) d -> 1 d y x", y=before)
    grown = rearrange(F.interpolate(grid, size=(after, after), mode="bicubic"), "1 d y x -> (y x) d")
    image.config.image_size = places.image_size = side
    places.num_patches, places.num_positions = after * after, after * after + 1
    places.position_embedding = nn.Embedding.from_pretrained(torch.cat([first, grown]), freeze=False)
    places.register_buffer("position_ids", torch.arange(places.num_positions)[None], persistent=False)
