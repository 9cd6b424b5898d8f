"""What a stage of training is: a network, what it is fed with, and what it is told is wrong with its answers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import nn
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from recast.data.examples import Example, Source
from recast.data.renders import Pictures, RenderedDataset
from recast.data.shard_pictures import Shown
from recast.data.shards import Bucket
from recast.diffusion.schedule import Schedule, schedule
from recast.engine.config import Loss
from recast.errors import RequestError
from recast.model.folder import ModelFolder
from recast.networks.generator import Generator, UNetConfig
from recast.training.objectives.batches import Batches
from recast.training.objectives.diffusion import velocity
from recast.training.objectives.prior import PriorData
from recast.training.tokenizer import write_tokenizer

Size = tuple[int, int]
"""Width and height in pixels."""
Checkpointing = Literal["none", "selective", "full"]
CHECKPOINTING: tuple[Checkpointing, ...] = ("none", "selective", "full")

SD_LEVELS: Mapping[str, Any] = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "clip_sample": False,
}
"""Stable Diffusion's levels, for a network that predicts velocity: a diffusers scheduler's config."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a stage may draw on. sources: of examples; pools: of pictures; start: the model that it starts from.

    folder: where a tokenizer is kept that had to be learned. prior_data: what a prior learns from, where it is at hand.
    vae: the autoencoder that examples were made by, where it is at hand apart from the start.
    """

    sources: Sequence[Source] = ()
    pools: Sequence[RenderedDataset] = ()
    start: ModelFolder | None = None
    folder: Path = Path()
    prior_data: PriorData | None = None
    vae: AutoencoderKL | None = None

    def autoencoder(self) -> AutoencoderKL | None:
        """The one that examples were made by, where it is at hand: its own or the start's."""
        if self.vae is None and self.start is not None and self.start.has("vae"):
            return self.start.network("vae", AutoencoderKL)
        return self.vae

    def examples(self) -> Sequence[Source]:
        """The sources. Raises RequestError where there is none."""
        if not self.sources:
            raise RequestError("this stage learns from examples; say --data with folders of shards or caches")
        return self.sources

    def pictures(self) -> Sequence[Pictures]:
        """The pools, and shards as such. Raises RequestError where there is neither."""
        found = [*self.pools, *(Shown(source) for source in self.sources if isinstance(source, Bucket))]
        if not found:
            raise RequestError("this stage learns from pictures; say --data with folders of shards or pools")
        return found

    def worlds(self) -> Sequence[RenderedDataset]:
        """The pools. Raises RequestError where there is none."""
        if not self.pools:
            raise RequestError("this stage learns from rendered worlds; say --data with folders of pools")
        return self.pools

    def tokenizer(self, *, places: int, pieces: int) -> CLIPTokenizer:
        """The start's tokenizer, or one that is learned from the pools' captions, once."""
        if self.start is not None and self.start.has("tokenizer"):
            return self.start.part("tokenizer", CLIPTokenizer)
        if not (self.folder / "tokenizer_config.json").exists():
            said = (caption for pool in self.worlds() for row in pool.captions for caption in row)
            return write_tokenizer(said, self.folder, places=places, pieces=pieces)
        return CLIPTokenizer.from_pretrained(self.folder, model_max_length=places)

    @cached_property
    def text(self) -> nn.Module:
        """The start's text encoder, which is not trained. Raises RequestError where there is no start."""
        if self.start is None:
            raise RequestError("this stage listens to a text encoder; say --from FOLDER of a model that has one")
        return self.start.network("text_encoder", CLIPTextModelWithProjection).requires_grad_(False)


@runtime_checkable
class Stage(Protocol):
    """One kind of training, with its numbers."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def component(self) -> str:
        """What part of a model it trains, by the name of its folder."""
        ...

    @property
    def batch(self) -> Mapping[str, int]:
        """How many rows a step has, by what they are."""
        ...

    def network(self, inputs: Inputs) -> Any:  # noqa: ANN401 -- each stage has its own
        """What is trained, as it is at step 0; what is frozen requires no gradient."""
        ...

    def prepared(self, network: Any) -> Any:  # noqa: ANN401
        """A network of an earlier stage, as this one trains it."""
        ...

    def loss(self, inputs: Inputs) -> Loss[Any]:
        """What it learns from. Raises RequestError where the inputs do not suffice."""
        ...

    def least(self) -> tuple["Stage", Inputs]:
        """The same with the smallest batch, and inputs of the right shapes that hold nothing: for counting costs."""
        ...


@dataclass(frozen=True, eq=False)
class Blank:
    """A source of zeros, of one size in pixels."""

    frames: int
    size: Size
    content_width: int

    def __len__(self) -> int:
        return 1

    def example(self, index: int) -> Example:
        """The same each time, whatever the index."""
        assert index == 0
        columns, rows = (side // 8 for side in self.size)
        return Example(
            torch.zeros(self.frames, 8, rows, columns),
            torch.zeros(1, self.frames, 4, rows, columns),
            levels=(0.0,),
            embeddings=torch.zeros(self.frames, self.content_width),
        )


@dataclass(frozen=True, kw_only=True)
class GeneratorStage:
    """The generator, on images or on images and clips.

    structure: whether it is told any. motion: whether its layers over time are trained. levels: of noise, as a
    diffusers scheduler has them. checkpointing: what is computed again in the backward pass, to save memory:
    "selective" norms and activations, "full" whole blocks. picture_sizes, clip_sizes: what the data should have; each
    is meant flipped too. stride: frames of the source from one frame of a clip to the next. min_snr and
    temporal_weight: of the loss, see `diffusion.velocity`.
    """

    layers: UNetConfig = field(default_factory=UNetConfig)
    batches: Batches
    structure: bool = True
    motion: bool = True
    levels: Mapping[str, Any] = field(default_factory=lambda: SD_LEVELS)
    min_snr: float | None = None
    temporal_weight: float = 0.0
    checkpointing: Checkpointing = "none"
    picture_sizes: tuple[Size, ...]
    clip_sizes: tuple[Size, ...] = ()
    stride: int = 4
    seed: int = 0
    component: str = "unet"

    @property
    def batch(self) -> Mapping[str, int]:
        """Images, and clips where there are any."""
        clips = {"clips": self.batches.clips} if self.batches.clips else {}
        return {"images": self.batches.images, **clips}

    def network(self, inputs: Inputs) -> Generator:
        """Grown from the start, or with random weights."""
        if inputs.start is None:
            network = Generator.new(self.layers, structure=self.structure)
        else:
            network = Generator.grown(inputs.start, self.layers, structure=self.structure)
        return self.prepared(network)

    def prepared(self, network: Generator) -> Generator:
        """A generator of the stage before, as this one trains it."""
        for weight in network.net.temporal_parameters():
            weight.requires_grad_(self.motion)
        if self.checkpointing == "none":
            network.net.disable_gradient_checkpointing()
        else:
            network.net.enable_gradient_checkpointing(selective=self.checkpointing == "selective")
        return network.train()

    def schedule(self) -> Schedule:
        """The levels of noise."""
        return schedule(self.levels)

    def loss(self, inputs: Inputs) -> Loss[Generator]:
        """Velocity, at the stage's levels."""
        return velocity(
            inputs.examples(),
            self.schedule(),
            self.batches,
            structure=self.structure,
            min_snr=self.min_snr,
            temporal_weight=self.temporal_weight,
            seed=self.seed,
        )

    def least(self) -> tuple["GeneratorStage", Inputs]:
        """One image, one clip, of the largest sizes."""
        batches = replace(self.batches, images=1, clips=min(self.batches.clips, 1))
        sources: list[Source] = [self._blank(self.picture_sizes, 1)]
        if batches.clips:
            sources.append(self._blank(self.clip_sizes, self.batches.frames))
        return replace(self, batches=batches), Inputs(sources=sources)

    def _blank(self, sizes: Iterable[Size], frames: int) -> Blank:
        return Blank(frames, max(sizes, key=lambda size: size[0] * size[1]), self.layers.content_width)
