"""What control networks read, and what they add to a denoiser's features."""

from dataclasses import dataclass, replace
from math import inf

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class ControlResiduals:
    """What is added to a UNet's features, as by a ControlNet (arXiv:2302.05543): one feature map a frame.

    down: for the skip connections of its down blocks, in their order, the first convolution's before them; mid: for
    its middle block. They are the same at every noise level and in every branch.
    """

    down: tuple[Float[Tensor, "t _ _ _"], ...]
    mid: Float[Tensor, "t _ _ _"]

    def at(self, picks: Int[Tensor, " t"]) -> "ControlResiduals":
        """Those of a choice of frames."""
        return ControlResiduals(
            tuple(each[picks.to(each.device)] for each in self.down), self.mid[picks.to(self.mid.device)]
        )

    def __add__(self, other: "ControlResiduals") -> "ControlResiduals":
        """What both add."""
        down = tuple(one + another for one, another in zip(self.down, other.down, strict=True))
        return ControlResiduals(down, self.mid + other.mid)


@dataclass(frozen=True, eq=False)
class Control:
    """A structure as a control network reads it: a ControlNet pictures of 0..1 at the clip's size, one a frame.

    A network that reads a control video (VACE) has its planes in their place, one for each latent.
    kind: of structure, a member of `recast.types.Kind`. weight: of the residuals. sigmas: the lowest and the highest
    noise level, both included, at which it acts.
    """

    kind: str
    pictures: Float[Tensor, "t c h w"]
    weight: float = 1.0
    sigmas: tuple[float, float] = (0.0, inf)

    def acts_at(self, sigma: float) -> bool:
        """Whether it acts at a noise level."""
        low, high = self.sigmas
        return low <= sigma <= high

    def at(self, picks: Int[Tensor, " t"]) -> "Control":
        """The same for a choice of frames."""
        return replace(self, pictures=self.pictures[picks.to(self.pictures.device)])


@dataclass(frozen=True)
class Motion:
    """What a network that starts from a picture is told of the clip. fps: frames a second.

    bucket: how much moves, 1..255 in training. picture_noise: the deviation of noise on the picture's pixels, -1..1.
    """

    fps: float = 7.0
    bucket: float = 127.0
    picture_noise: float = 0.02


@dataclass(frozen=True, eq=False)
class FirstFrame:
    """The picture that a clip starts with, for networks that read it beside each of their frames.

    latents: of the wanted picture. own: of the clip's first frame as it is. number: of the frame, in the source.
    """

    latents: Float[Tensor, "1 c y x"]
    own: Float[Tensor, "1 c y x"]
    motion: Motion
    number: int = 0

    @property
    def of_source(self) -> "FirstFrame":
        """The same for the clip as it is."""
        return replace(self, latents=self.own)


@dataclass(frozen=True, eq=False)
class ReferenceLatents:
    """Pictures that a network sees before a clip's first latent, r of them.

    planes: as its control branch reads them. clean: their latents. noise: what they are under, at each level its times.
    """

    planes: Float[Tensor, "r planes y x"]
    clean: Float[Tensor, "r c y x"]
    noise: Float[Tensor, "r c y x"]
