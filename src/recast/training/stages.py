"""Training stages: each defines a network, its batches and its loss."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import nn
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from recast.data.examples import Example, ExampleSource
from recast.data.renders import Pictures, RenderedDataset
from recast.data.shard_pictures import ShardPictures
from recast.data.shards import Bucket
from recast.diffusion.schedule import Schedule, schedule
from recast.engine.config import Loss
from recast.errors import RequestError
from recast.model.folder import ModelFolder
from recast.networks.generator import Generator, UNetConfig
from recast.training.objectives.batches import Batches
from recast.training.objectives.conditioned import VideoData
from recast.training.objectives.diffusion import velocity
from recast.training.objectives.prior import PriorData
from recast.training.objectives.words import WordData
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
"""Stable Diffusion's noise schedule with velocity prediction, as the config of a diffusers scheduler."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """Inputs of a stage. sources: datasets of examples; pools: of pictures; start: the model that it starts from.

    folder: for a tokenizer that is trained. prior_data: dataset of a prior, None to make it from sources. word_data: of
    an image network of words. video_data: of a video network of words and conditions.
    vae: the autoencoder that encoded the examples, None to take the start's.
    """

    sources: Sequence[ExampleSource] = ()
    pools: Sequence[RenderedDataset] = ()
    start: ModelFolder | None = None
    folder: Path = Path()
    prior_data: PriorData | None = None
    word_data: WordData | None = None
    video_data: VideoData | None = None
    vae: AutoencoderKL | None = None

    def autoencoder(self) -> AutoencoderKL | None:
        """The autoencoder that encoded the examples: `vae`, else the start's, else None."""
        if self.vae is None and self.start is not None and self.start.has("vae"):
            return self.start.network("vae", AutoencoderKL)
        return self.vae

    def examples(self) -> Sequence[ExampleSource]:
        """The sources. Raises RequestError where there is none."""
        if not self.sources:
            raise RequestError("this stage learns from examples; say --data with folders of shards or caches")
        return self.sources

    def pictures(self) -> Sequence[Pictures]:
        """The pools, and shards as datasets of pictures. Raises RequestError where there is neither."""
        found = [*self.pools, *(ShardPictures(source) for source in self.sources if isinstance(source, Bucket))]
        if not found:
            raise RequestError("this stage learns from pictures; say --data with folders of shards or pools")
        return found

    def worlds(self) -> Sequence[RenderedDataset]:
        """The pools. Raises RequestError where there is none."""
        if not self.pools:
            raise RequestError("this stage learns from rendered worlds; say --data with folders of pools")
        return self.pools

    def tokenizer(self, *, places: int, pieces: int) -> CLIPTokenizer:
        """The start's tokenizer, else one trained on the pools' captions and kept in `folder`."""
        if self.start is not None and self.start.has("tokenizer"):
            return self.start.part("tokenizer", CLIPTokenizer)
        if not (self.folder / "tokenizer_config.json").exists():
            captions = (caption for pool in self.worlds() for row in pool.captions for caption in row)
            return write_tokenizer(captions, self.folder, places=places, pieces=pieces)
        return CLIPTokenizer.from_pretrained(self.folder, model_max_length=places)

    @cached_property
    def text(self) -> nn.Module:
        """The start's text encoder, frozen. Raises RequestError where there is no start."""
        if self.start is None:
            raise RequestError("this stage listens to a text encoder; say --from FOLDER of a model that has one")
        return self.start.network("text_encoder", CLIPTextModelWithProjection).requires_grad_(False)


@runtime_checkable
class TrainStage(Protocol):
    """One kind of training, with its settings."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def component(self) -> str:
        """The model component that it trains, by the name of its folder."""
        ...

    @property
    def batch(self) -> Mapping[str, int]:
        """Rows per step, by kind."""
        ...

    def network(self, inputs: Inputs) -> Any:  # noqa: ANN401 -- each stage has its own
        """The network at step 0; frozen weights have requires_grad False."""
        ...

    def prepared(self, network: Any) -> Any:  # noqa: ANN401
        """The network of an earlier stage, set up for this one (frozen weights, checkpointing, mode)."""
        ...

    def loss(self, inputs: Inputs) -> Loss[Any]:
        """The loss. Raises RequestError where an input is missing."""
        ...

    def least(self) -> tuple["TrainStage", Inputs]:
        """The stage with the smallest batch, and blank inputs of the right shapes, for cost estimates."""
        ...


@dataclass(frozen=True, eq=False)
class Blank:
    """A dataset of one example of zeros, of a size in pixels."""

    frames: int
    size: Size
    content_width: int

    def __len__(self) -> int:
        return 1

    def example(self, index: int) -> Example:
        """The example of zeros; index is 0."""
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

    structure: whether it has structure channels. motion: whether temporal layers are trained. levels: noise schedule,
    as the config of a diffusers scheduler. checkpointing: what is recomputed in the backward pass to save memory:
    "selective" norms and activations, "full" whole blocks. picture_sizes, clip_sizes: nominal sizes of the data, each
    also transposed. stride: source frames between two frames of a clip. min_snr, temporal_weight: of the loss, see
    `diffusion.velocity`.
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
        """Images and, where there are any, clips per step."""
        clips = {"clips": self.batches.clips} if self.batches.clips else {}
        return {"images": self.batches.images, **clips}

    def network(self, inputs: Inputs) -> Generator:
        """Initialised from the start, or randomly."""
        if inputs.start is None:
            network = Generator.new(self.layers, structure=self.structure)
        else:
            network = Generator.grown(inputs.start, self.layers, structure=self.structure)
        return self.prepared(network)

    def prepared(self, network: Generator) -> Generator:
        """The generator with temporal layers frozen or trained, and checkpointing set."""
        for weight in network.net.temporal_parameters():
            weight.requires_grad_(self.motion)
        if self.checkpointing == "none":
            network.net.disable_gradient_checkpointing()
        else:
            network.net.enable_gradient_checkpointing(selective=self.checkpointing == "selective")
        return network.train()

    def schedule(self) -> Schedule:
        """The noise schedule."""
        return schedule(self.levels)

    def loss(self, inputs: Inputs) -> Loss[Generator]:
        """Velocity loss with the stage's noise schedule."""
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
        """Batch of one image and one clip, of the largest sizes."""
        batches = replace(self.batches, images=1, clips=min(self.batches.clips, 1))
        sources: list[ExampleSource] = [self._blank(self.picture_sizes, 1)]
        if batches.clips:
            sources.append(self._blank(self.clip_sizes, self.batches.frames))
        return replace(self, batches=batches), Inputs(sources=sources)

    def _blank(self, sizes: Iterable[Size], frames: int) -> Blank:
        return Blank(frames, max(sizes, key=lambda size: size[0] * size[1]), self.layers.content_width)
