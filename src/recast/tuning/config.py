"""What is tuned and how: the selectors, and the settings of one tuning."""

from dataclasses import dataclass as plain_dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, FiniteFloat
from pydantic.dataclasses import dataclass
from torch import nn

from recast.backbones.stable_diffusion.inflated import TRANSFORMER
from recast.engine.config import LAST_RATE, TrainConfig
from recast.errors import RequestError, known
from recast.networks.simda import ADAPTER
from recast.networks.temporal import is_over_time
from recast.networks.weight_changes import CHANGES, is_matrix
from recast.tuning.losses import TEMPORAL_LOSSES, LatentKind, TemporalLoss

NO_LOSS = "none"


@plain_dataclass(frozen=True)
class Selector:
    """Which weights are tuned, by fnmatch patterns over their names, and how. change: a name in CHANGES.

    attention: what self-attention looks at, where nothing else is said. rate: the learning rate, likewise; last_rate:
    the share of it that is left at the end. temporal: whether the layers are those over time, or, False, all others;
    None is both. loss: the temporal loss, where nothing else is said; images: the share of pictures, likewise.
    layers: over time, of an image model; a name in LAYERS.
    dual: whether layers over time learn from the clip alone and all others from pictures alone, as adapters apart.
    shift: the weight of the spectral shift regularizer, where nothing else is said.
    """

    patterns: tuple[str, ...]
    change: str = "whole"
    attention: str = "own"
    rate: float = 3e-5
    last_rate: float = LAST_RATE
    temporal: bool | None = None
    loss: str = "difference"
    images: float = 0.0
    dual: bool = False
    layers: str = TRANSFORMER
    shift: float = 0.0

    def selected(self, network: nn.Module) -> list[str]:
        """The names of the weights that are trained, in the network's order; lora and spectral take matrices only.

        Raises RequestError where there is none.
        """
        assert self.change in CHANGES
        weights = dict(network.named_parameters())
        names = [name for name in weights if any(fnmatchcase(name, pattern) for pattern in self.patterns)]
        if self.temporal is not None:
            names = [name for name in names if is_over_time(name) is self.temporal]
        found = [name for name in names if self.change == "whole" or is_matrix(weights[name])]
        if not found:
            some = ", ".join(list(weights)[:: max(1, len(weights) // 3)][:3])
            raise RequestError(
                f"no weight of the network is called {' or '.join(self.patterns)}; say train as one of "
                f"{', '.join(SELECTORS)}, or as a pattern of its {len(weights)} names, such as {some}"
            )
        return found


QUERIES_AND_TEMPORAL = ("*.attn1.to_q.*", "*.attn2.to_q.*", "*.temporal.*")
PROJECTIONS = ("*.to_q.weight", "*.to_k.weight", "*.to_v.weight", "*.to_out.0.weight")
TRANSFORMERS = (*PROJECTIONS, "*.ff.net.*.weight")
SELECTORS: dict[str, Selector] = {
    "one-shot": Selector(QUERIES_AND_TEMPORAL, attention="first-previous"),
    "tune-a-video": Selector(QUERIES_AND_TEMPORAL, attention="first-previous", last_rate=1.0, loss=NO_LOSS),
    "dreamix": Selector(("*",), rate=1e-5, last_rate=1.0, loss=NO_LOSS, images=0.5),
    "motion-director": Selector(TRANSFORMERS, "lora", rate=5e-4, last_rate=1.0, loss="debiased", images=0.5, dual=True),
    "simda": Selector(
        (f"*.{ADAPTER}.*", "*.temporal.*"),
        attention="latent-shift",
        rate=5e-5,
        last_rate=1.0,
        loss=NO_LOSS,
        layers="simda",
    ),
    "controlvideo": Selector(("*.attn1.to_out.*", "*.temporal.*"), attention="first", last_rate=1.0, loss=NO_LOSS),
    "latent-shift": Selector(("*",), rate=1e-5, last_rate=1.0, loss=NO_LOSS, layers="shifted-channels"),
    "lora": Selector(PROJECTIONS, "lora", rate=1e-4),
    "save": Selector(
        QUERIES_AND_TEMPORAL,
        "spectral",
        attention="first-previous",
        rate=1e-3,
        last_rate=1.0,
        loss=NO_LOSS,
        shift=1e-3,
    ),
    "ei2": Selector(
        QUERIES_AND_TEMPORAL, attention="fine-coarse", last_rate=1.0, loss=NO_LOSS, layers="shift-restricted"
    ),
    "spectral": Selector(PROJECTIONS, "spectral", rate=1e-3),
}
"""What is tuned, by name. one-shot: query projections and all layers over time, as the paper (section 3.2) has it.

tune-a-video: the same weights by the network's own loss alone, at its published constant rate (arXiv:2212.11565).
dreamix: all weights, in a share of the steps on one frame as a picture (mixed finetuning, arXiv:2302.01329); share and
rate are ours.
motion-director: low-rank changes of all transformers, by the appearance-debiased loss and at its published rate
(arXiv:2310.08465). Differs: a step is on the clip or on a picture, half of them each, where the paper's are on both.
simda: an image model's new adapters alone, at their published rate (arXiv:2308.09710).
save: shifts of the singular values of what tune-a-video trains, held back where these are large (arXiv:2305.18670).
Rate and weight are the published code's own defaults, beside 100 steps; its examples say 3e-5 and 500.
ei2: tune-a-video's weights, rate and loss, with an image model's new layers and attention of EI2 (arXiv:2305.17431).
controlvideo: what self-attention to a key frame, the first, is projected by, and all layers over time, at the published
rate (arXiv:2305.17098). Differs: new layers are those of one-shot, where its begin as copies of spatial attention.
latent-shift: all weights of an image model whose convolutions read channels of neighbouring frames (arXiv:2304.08477),
on one clip, where the paper trains on many; the rate is ours.
"""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", use_attribute_docstrings=True))
class TuneConfig:
    """The settings of one tuning. Raises RequestError for what does not go together."""

    train: str = "one-shot"
    """What is trained: one-shot or tune-a-video (queries and layers over time), dreamix (all weights), motion-director
    (motion and look apart), simda (adapters in an image model), save (singular values of tune-a-video's weights), ei2
    (its weights in an image model, by layers and attention that shift little), controlvideo (self-attention to the
    first frame and layers over time), latent-shift (all of an image model whose channels shift over time), lora,
    spectral, or a pattern of weights' names."""
    steps: Annotated[int, Field(ge=1, le=100_000)] = 500
    """Training steps."""
    frames: Annotated[int, Field(ge=1, le=1024)] = 8
    """Frames of the clip to learn from, evenly spaced; the paper takes 8 to 12."""
    rate: Annotated[FiniteFloat, Field(gt=0)] | None = None
    """Peak learning rate; of what is trained, if not said."""
    rank: Annotated[int, Field(ge=1)] | None = None
    """Rank of lora; 16 if not said."""
    attention: Literal["own", "first", "first-previous", "latent-shift", "fine-coarse"] | None = None
    """What self-attention looks at: its own frame, the first one, the first and the previous one, as one-shot does, its
    own and places of those before, or its own and all others coarsely."""
    temporal: str | None = None
    """Temporal loss: difference of neighbouring frames (the paper's), matched to the source's, second, debiased of the
    look, or none; of what is trained, if not said."""
    temporal_weight: Annotated[FiniteFloat, Field(ge=0)] | None = None
    """Weight of the temporal loss; .05, of second .2, and of debiased 1, if not said."""
    latent: LatentKind | None = None
    """Latents of the temporal loss: clean (as predicted), or the predicted noise, as second takes it if not said."""
    shift_weight: Annotated[FiniteFloat, Field(ge=0)] | None = None
    """Weight of the spectral shift regularizer of save and spectral; of what is trained, if not said."""
    precision: str = "auto"
    """Of products: bf16, fp32, or auto, which takes what is faster here."""
    images: Annotated[FiniteFloat, Field(ge=0, lt=1)] | None = None
    """Share of the steps that see one frame as a picture, layers over time off; of what is trained, if not said."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Chooses frames, noise, noise levels and first weights."""

    def __post_init__(self) -> None:
        known("temporal loss", self.over_time, [NO_LOSS, *TEMPORAL_LOSSES])
        if self.selector.dual and (not self.image_share or self.frames < 2):
            wrong = f"{self.train} learns the look from pictures and motion from 2 frames or more"
            raise RequestError(f"{wrong}; images is {self.image_share:g} and frames {self.frames}, say more")
        if self.rank is not None and self.selector.change != "lora":
            raise RequestError(f"rank is {self.rank}, and only lora has one; leave it out, or say train=lora")
        if self.shift_weight is not None and self.selector.change != "spectral":
            wrong = f"shift_weight is {self.shift_weight:g}, and {self.train} shifts no singular values"
            raise RequestError(f"{wrong}; leave it out, or say train=save or spectral")
        if self.temporal_loss is None and not (self.temporal_weight is None and self.latent is None):
            raise RequestError("there is no temporal loss, so it has no weight and no latent; leave them out")
        if self.temporal_loss is not None and self.frames < self.temporal_loss.least:
            wrong = (
                f"the temporal loss {self.over_time!r} needs {self.temporal_loss.least} frames and has {self.frames}"
            )
            raise RequestError(f"{wrong}; take more frames, or temporal=none")
        self.train_config()

    @property
    def selector(self) -> Selector:
        """What is trained."""
        return SELECTORS.get(self.train) or Selector((self.train,))

    @property
    def over_frames(self) -> str:
        """What self-attention looks at; own, or a name in OVER_FRAMES."""
        return self.attention or self.selector.attention

    @property
    def over_time(self) -> str:
        """The name of the temporal loss, or none."""
        return self.selector.loss if self.temporal is None else self.temporal

    @property
    def image_share(self) -> float:
        """Share of the steps that see one frame as a picture."""
        return self.selector.images if self.images is None else self.images

    @property
    def shift_penalty(self) -> float:
        """Weight of the spectral shift regularizer."""
        return self.selector.shift if self.shift_weight is None else self.shift_weight

    @property
    def temporal_loss(self) -> TemporalLoss | None:
        """The temporal loss with its weight and latent; None where there is none."""
        usual = TEMPORAL_LOSSES.get(self.over_time)
        if usual is None:
            return None
        weight = usual.weight if self.temporal_weight is None else self.temporal_weight
        return TemporalLoss(usual.between, weight, self.latent or usual.latent, usual.least)

    def train_config(self) -> TrainConfig:
        """For the training loop. Differs: the rate falls along a cosine; the paper says nothing of its course."""
        rate = self.rate or self.selector.rate
        return tuning_run(self.steps, rate, self.selector.last_rate, self.precision)


def tuning_run(steps: int, rate: float, last_rate: float, precision: str) -> TrainConfig:
    """For the training loop: without an average, which so few steps would leave behind."""
    return TrainConfig(
        steps=steps, rate=rate, last_rate=last_rate, warmup=0, ema=0.0, precision=precision, keep_every=50
    )
