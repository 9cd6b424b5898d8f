"""What control networks add to a denoiser's features."""

from dataclasses import dataclass

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
