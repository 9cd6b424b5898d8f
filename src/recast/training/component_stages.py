"""Training stages of autoencoder, depth estimator, CLIP pair and prior."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.transformers.prior_transformer import PriorTransformer
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from recast.data.datasets import Joined
from recast.data.renders import NUM_CAPTIONS, RenderedDataset
from recast.engine.config import Loss
from recast.networks.clip_pair import ATTRIBUTES, CLIPConfig, Pair, attribute_heads, resize_positions
from recast.networks.depth_unet import DepthUNet
from recast.training.objectives.autoencoder import VAEConfig, reconstruction
from recast.training.objectives.clip import contrastive
from recast.training.objectives.depth import DepthConfig, distance
from recast.training.objectives.prior import (
    Captioned,
    CaptionPairs,
    PriorConfig,
    PriorData,
    Spread,
    standardize,
    unclip,
)
from recast.training.stages import Inputs, Size
from recast.training.tokenizer import NUM_PIECES, SHIPPED, token_ids


@dataclass(frozen=True, kw_only=True)
class AutoencoderStage:
    """The autoencoder, on square crops of `crop` px. decoder: train the decoder only, so that latents do not change."""

    scales: VAEConfig = field(default_factory=VAEConfig)
    images: int = 32
    crop: int = 256
    decoder: bool = False
    seed: int = 0
    component: str = "vae"

    @property
    def batch(self) -> Mapping[str, int]:
        """Crops per step."""
        return {"images": self.images}

    def network(self, inputs: Inputs) -> AutoencoderKL:
        """Randomly initialised, or the start's."""
        if inputs.start is None:
            return self.prepared(self.scales.network())
        return self.prepared(inputs.start.network("vae", AutoencoderKL))

    def prepared(self, network: AutoencoderKL) -> AutoencoderKL:
        """An autoencoder with the encoder frozen where only the decoder is trained."""
        for name, weight in network.named_parameters():
            weight.requires_grad_(not self.decoder or name.startswith(("decoder", "post_quant_conv")))
        return network.train()

    def loss(self, inputs: Inputs) -> Loss[AutoencoderKL]:
        """Reconstruction loss."""
        return reconstruction(inputs.pictures(), batch=self.images, crop=self.crop, seed=self.seed)

    def least(self) -> tuple["AutoencoderStage", Inputs]:
        """Batch of one crop."""
        return replace(self, images=1), Inputs(pools=[blank((2 * self.crop, 2 * self.crop))])


@dataclass(frozen=True, kw_only=True)
class DepthStage:
    """The depth estimator. invariant: loss invariant to scale and shift, for ground truth of unknown scale.

    images: rows of a batch. frames: of each row; more than one makes rows clips.
    """

    widths: DepthConfig = field(default_factory=DepthConfig)
    images: int = 16
    frames: int = 1
    invariant: bool = False
    size: Size = (128, 128)
    seed: int = 0
    component: str = "depth_estimator"

    @property
    def batch(self) -> Mapping[str, int]:
        """Pictures or clips per step."""
        return {"images" if self.frames == 1 else "clips": self.images}

    def network(self, inputs: Inputs) -> DepthUNet:
        """Randomly initialised, or the start's, with layers over time added where it lacks them."""
        if inputs.start is None or not inputs.start.has("depth_estimator"):
            return self.widths.network()
        return self.widths.grown(inputs.start.network("depth_estimator", DepthUNet))

    def prepared(self, network: DepthUNet) -> DepthUNet:
        """An estimator of an earlier stage; where this one sees motion, it can learn to."""
        return self.widths.grown(network)

    def loss(self, inputs: Inputs) -> Loss[DepthUNet]:
        """Loss of inverse depth."""
        pictures = inputs.pictures()
        return distance(pictures, batch=self.images, frames=self.frames, invariant=self.invariant, seed=self.seed)

    def least(self) -> tuple["DepthStage", Inputs]:
        """Batch of one picture or one clip."""
        return replace(self, images=1), Inputs(pools=[blank(self.size)])


@dataclass(frozen=True, kw_only=True)
class PairStage:
    """The CLIP pair, on pictures and captions. heads_weight: of reading attributes, beside the contrastive loss."""

    towers: CLIPConfig = field(default_factory=CLIPConfig)
    images: int = 1024
    heads_weight: float = 1.0
    seed: int = 0
    component: str = "image_encoder"

    @property
    def batch(self) -> Mapping[str, int]:
        """Pairs of picture and caption per step."""
        return {"images": self.images}

    def network(self, inputs: Inputs) -> Pair:
        """Randomly initialised."""
        return self.towers.network(self._tokenizer(inputs))

    def prepared(self, network: Pair) -> Pair:
        """A pair of an earlier stage, with the heads and for pictures of the side that this stage has."""
        if self.towers.heads and not network.heads:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.seed)
                network.heads = attribute_heads(self.towers.width)
        resize_positions(network.image, self.towers.side)
        return network.train()

    def loss(self, inputs: Inputs) -> Loss[Pair]:
        """Contrastive loss."""
        tokenizer = self._tokenizer(inputs)
        return contrastive(
            inputs.worlds(),
            tokenizer,
            side=self.towers.side,
            batch=self.images,
            seed=self.seed,
            heads_weight=self.heads_weight,
        )

    def least(self) -> tuple["PairStage", Inputs]:
        """Batch of eight pictures, with captions of maximal length.

        The contrastive loss needs at least two pairs, and with two the gradient of the token embedding, whose size does
        not depend on the batch, would dominate memory. The cost of the similarity matrix itself is negligible.
        """
        side, caption = (self.towers.side, self.towers.side), "a " * self.towers.places
        return replace(self, images=8), Inputs(pools=[blank(side, caption)], folder=SHIPPED)

    def _tokenizer(self, inputs: Inputs) -> CLIPTokenizer:
        pieces = self.towers.vocabulary or NUM_PIECES
        return inputs.tokenizer(places=self.towers.places, pieces=pieces)


@dataclass(frozen=True, kw_only=True)
class PriorStage:
    """The prior, on captions and embeddings of the same clips. reader: the pair whose text encoder conditions it."""

    depths: PriorConfig = field(default_factory=PriorConfig)
    reader: CLIPConfig = field(default_factory=CLIPConfig)
    captions: int = 96
    seed: int = 0
    component: str = "prior"

    @property
    def batch(self) -> Mapping[str, int]:
        """Pairs of caption and frame embedding per step."""
        return {"captions": self.captions}

    def network(self, inputs: Inputs) -> PriorTransformer:
        """Randomly initialised, standardized for the data."""
        network = self.depths.network()
        standardize(network, Spread.of(self._prior_data(inputs).pairs))
        return network

    def prepared(self, network: PriorTransformer) -> PriorTransformer:
        """The network unchanged: all of its weights are trained."""
        return network.train()

    def loss(self, inputs: Inputs) -> Loss[PriorTransformer]:
        """Squared error of the embedding."""
        prior_data = self._prior_data(inputs)
        return unclip(prior_data, Spread.of(prior_data.pairs), batch=self.captions, seed=self.seed)

    def least(self) -> tuple["PriorStage", Inputs]:
        """Batch of one caption."""
        width, places = self.depths.width, self.depths.places
        ids = torch.zeros(2, 1, places, dtype=torch.long)
        tokenizer = Inputs(folder=SHIPPED).tokenizer(places=places, pieces=0)
        with torch.device("meta"):
            text = CLIPTextModelWithProjection(self.reader.text_config(tokenizer))
        prior_data = PriorData(CaptionPairs(ids, torch.zeros(2, 1, width)), text.requires_grad_(False), ids[0, 0])
        return replace(self, captions=1), Inputs(prior_data=prior_data)

    def _prior_data(self, inputs: Inputs) -> PriorData:
        if inputs.prior_data is not None:
            return inputs.prior_data
        tokenizer = inputs.tokenizer(places=self.depths.places, pieces=NUM_PIECES)
        pairs = Captioned(Joined(inputs.examples()), tokenizer)
        return PriorData(pairs, inputs.text, token_ids(tokenizer, [""])[0])


def blank(size: Size, caption: str = "") -> RenderedDataset:
    """A pool of one black picture, of a size in pixels."""
    columns, rows = size
    shape = (1, 1, rows, columns)
    captions, depth = [[caption] * NUM_CAPTIONS], np.linspace(0, 1, rows * columns, dtype=np.float16).reshape(shape)
    scene = {"subjects": [{}], **{name: table[0] for name, table in ATTRIBUTES.items()}}
    return RenderedDataset(np.zeros((*shape, 3), np.uint8), depth, np.zeros(shape, np.uint8), captions, [scene])
