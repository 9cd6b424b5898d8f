"""VideoComposer's encoder of several conditions: maps of a clip as input channels, and a picture as tokens."""

from collections.abc import Mapping, Sequence

import torch
from diffusers.models.embeddings import ImageProjection
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from recast.networks.temporal import TemporalTransformer

Conditions = Mapping[str, Tensor]
"""What clips are conditioned on, by name, clip by clip."""


class STCEncoder(nn.Module):
    """Maps of one kind as channels of latents: an eighth of their size, then over time. arXiv:2306.02018, section 3.3.

    Two convolutions and an average over places, then a transformer over the frames of each place, which starts without
    effect. Differs: a third convolution of stride 2, since the published one reads maps of a fixed size, and positions
    are learned.
    """

    def __init__(self, read: int, width: int, *, heads: int, max_frames: int) -> None:
        super().__init__()
        self.local = nn.Sequential(
            nn.Conv2d(read, 2 * width, 3, padding=1),
            nn.SiLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(2 * width, width, 3, stride=2, padding=1),
        )
        self.temporal = TemporalTransformer(width, heads=heads, layers=1, max_frames=max_frames)

    def forward(self, maps: Float[Tensor, "b t c h w"], *, over_time: bool) -> Float[Tensor, "b t width y x"]:
        """Maps of 0..1 as channels. over_time: whether frames see each other; where not, each is an image."""
        features = rearrange(
            self.local(rearrange(maps, "b t c h w -> (b t) c h w")), "(b t) c y x -> b t c y x", b=len(maps)
        )
        return self.temporal(features) if over_time else features


class ConditionEncoder(nn.Module):
    """What a network reads besides words: maps of several kinds, summed as input channels, and a picture's embedding.

    Any subset of them may be there; what is not adds nothing. arXiv:2306.02018, section 3.2 and figure 3.
    kinds: of maps, with their channels. width: of the input channels. content_width: of a picture's embedding, which
    becomes so many tokens of token_width behind those of words; 0 tokens read no picture.
    """

    def __init__(
        self,
        kinds: Mapping[str, int],
        *,
        width: int = 8,
        heads: int = 2,
        max_frames: int = 32,
        content_width: int = 128,
        token_width: int = 128,
        tokens: int = 0,
    ) -> None:
        super().__init__()
        self.config = {
            "kinds": dict(kinds),
            "width": width,
            "heads": heads,
            "max_frames": max_frames,
            "content_width": content_width,
            "token_width": token_width,
            "tokens": tokens,
        }
        self.maps = nn.ModuleDict(
            {kind: STCEncoder(read, width, heads=heads, max_frames=max_frames) for kind, read in kinds.items()}
        )
        self.picture = ImageProjection(content_width, token_width, tokens) if tokens else None

    @property
    def kinds(self) -> Sequence[str]:
        """The kinds of maps that it reads, by name."""
        return tuple(self.maps)

    @property
    def width(self) -> int:
        """Input channels that it makes."""
        return int(self.config["width"])

    def planes(
        self, conditions: Conditions, kept: Conditions, like: Float[Tensor, "b t c y x"], *, over_time: bool
    ) -> Float[Tensor, "b t width y x"]:
        """The sum of what is made of the maps of each kind. kept: how much of it, clip by clip, 0 where it was dropped.

        like: latents of the clips, which give their number and size.
        """
        planes = like.new_zeros(*like.shape[:2], self.width, *like.shape[3:])
        for kind in self.kinds:
            if kind in conditions:
                share = rearrange(kept[kind], "b -> b 1 1 1 1")
                planes = planes + share * self.maps[kind](conditions[kind], over_time=over_time).to(planes)
        return planes

    def picture_tokens(self, embedding: Float[Tensor, "b e"], kept: Float[Tensor, " b"]) -> Float[Tensor, "b n d"]:
        """A picture's embedding as tokens, zeros where it was dropped."""
        assert self.picture is not None, "asked only where a picture is read"
        return self.picture(embedding) * rearrange(kept, "b -> b 1 1")

    def null_tokens(self) -> Float[Tensor, "n d"]:
        """Those of no picture."""
        return torch.zeros(int(self.config["tokens"]), int(self.config["token_width"]))
