"""The judge: classifies the attributes of a clip, and segments the subject at a given point.

It is trained on no output of a generator: by `python -m recast.evaluation.judge.train` on renders of worlds
alone, some of which went through an autoencoder, since every generated picture does. Its own accuracy on renders of
unseen seeds stands beside every figure that it gives: no more can be expected of a model.

The point selects the subject, since a frame may hold several things of its kind; it tells nothing of size or shape.
Where the edit shows another shape there, or nothing, the outline is that of the other shape, or empty.

It also encodes frames, so that their likeness is measured by a network that is no part of the model under test.
"""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from recast.errors import WeightsError
from recast.networks.judge import JudgeNetwork, Points, spotted
from recast.types import Frames
from recast.video.resize import resized
from recast.world.words import COLOURS, ENVIRONMENTS, LOOKS

SIDE = 128
"""Rows and columns that the judge looks at; other frames are resized to it."""
WEIGHTS = Path(str(files("recast"))) / "assets" / "judge" / "model.safetensors"


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the judge sees in a clip: canonical words of the world, and the outline of what was pointed at.

    colour: of what lies in that outline. subject: one mask a frame, at the frames' own size.
    """

    environment: str
    look: str
    colour: str
    subject: Bool[Tensor, "t h w"]


@dataclass(frozen=True, eq=False)
class Judge:
    """The trained network, ready to look at clips. name: what results call its embeddings of frames."""

    network: JudgeNetwork
    name: str = "recast judge, channel statistics of its coarsest level"

    @classmethod
    def opened(cls, path: Path = WEIGHTS) -> "Judge":
        """The judge whose weights lie at `path`, the package's own by default. Raises WeightsError."""
        network = JudgeNetwork()
        try:
            network.load_state_dict({name: weight.float() for name, weight in load_file(path).items()})
        except (OSError, RuntimeError, SafetensorError) as fault:
            reason = str(fault).splitlines()[0]
            raise WeightsError(f"the judge cannot be read ({reason}); install recast-video again; {path}") from fault
        return cls(network.eval())

    @torch.no_grad()
    def __call__(self, frames: Frames, points: Points) -> Verdict:
        """One verdict for the clip: the frames' probabilities are multiplied. The colour is that of what it masks.

        points: row and column, 0..1 of the frame, of a place in the subject, one a frame.
        It looks at each frame in a mirror too, which makes outlines steadier.
        """
        pictures, spots = _shown(frames), spotted(SIDE * points, SIDE)
        seen = self.network(*(torch.cat([each, each.flip(-1)]) for each in (pictures, spots)))
        here, mirrored = seen.subject.sigmoid().chunk(2)
        share = (here + mirrored.flip(-1)) / 2
        colour = self.network.colour(seen, torch.cat([share, share.flip(-1)]))
        masks = F.interpolate(share, frames.shape[-2:], mode="bilinear")[:, 0] > 0.5
        return Verdict(
            _most_likely(seen.environment, tuple(ENVIRONMENTS)),
            _most_likely(seen.look, tuple(LOOKS)),
            _most_likely(colour, tuple(COLOURS)),
            masks,
        )

    @torch.no_grad()
    def colours(self, frames: Frames, points: Points, masks: Bool[Tensor, "t h w"]) -> Float[Tensor, "t colours"]:
        """Log-probabilities of COLOURS for what lies under given masks, frame by frame. points: as in a verdict."""
        seen = self.network(_shown(frames), spotted(SIDE * points, SIDE))
        shares = F.interpolate(masks[:, None].float(), (SIDE, SIDE), mode="area")
        return self.network.colour(seen, shares).log_softmax(dim=1)

    @torch.no_grad()
    def embeddings(self, frames: Frames) -> Float[Tensor, "t d"]:
        """One embedding a frame; their cosine is 1 for frames that are the same, and about 0 for unrelated renders."""
        return self.network.encoded(_shown(frames)) - self.network.centre

    @torch.no_grad()
    def places(self, frames: Frames) -> Float[Tensor, "t n d"]:
        """Features of 8 x 8 places of each frame, from the coarsest level."""
        return rearrange(self.network.coarsest(_shown(frames)), "t d y x -> t (y x) d")


def _shown(frames: Frames) -> Float[Tensor, "t 3 side side"]:
    return resized(frames, (SIDE, SIDE)) / 127.5 - 1


def _most_likely(logits: Float[Tensor, "t n"], names: tuple[str, ...]) -> str:
    return names[int(logits.log_softmax(dim=1).mean(dim=0).argmax())]
