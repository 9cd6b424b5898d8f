"""Each preset at a size that a test can train: the same stage, small networks, and a little random data."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn
from transformers import CLIPTextModelWithProjection

from recast.data.latent_cache import LatentCache
from recast.data.renders import NUM_CAPTIONS, RenderedDataset
from recast.data.video_cache import VideoCache
from recast.data.word_cache import WordCache
from recast.networks.clip_pair import ATTRIBUTES, CLIPConfig
from recast.networks.generator import UNetConfig
from recast.recipes import PRESETS
from recast.training.component_stages import AutoencoderStage, DepthStage, PairStage, PriorStage
from recast.training.objectives.autoencoder import VAEConfig
from recast.training.objectives.conditioned import VideoData
from recast.training.objectives.depth import DepthConfig
from recast.training.objectives.prior import CaptionPairs, PriorConfig, PriorData
from recast.training.objectives.words import WordData
from recast.training.stages import GeneratorStage, Inputs, TrainStage
from recast.training.tokenizer import SHIPPED
from recast.training.video_stage import VideoStage
from recast.training.word_stage import WordStage
from recast.types import Kind

WIDTH = 12
LAYERS = UNetConfig(
    widths=(16, 32), attention=(True, True), layers=1, heads=2, groups=8, tokens=2, token_width=16, content_width=WIDTH
)
TOWERS = CLIPConfig(width=WIDTH, side=16, patch=8, image=(16, 1, 2), text=(WIDTH, 1, 2), places=8, vocabulary=0)


def small(name: str) -> tuple[TrainStage, Inputs]:
    """A preset's stage with small networks and batches, and inputs for it."""
    stage = small_stage(name)
    match stage:
        case GeneratorStage():
            return stage, Inputs(sources=[cached(frames=1), cached(frames=2)])
        case AutoencoderStage() | DepthStage():
            return stage, Inputs(pools=[pool()])
        case PairStage():
            return stage, Inputs(pools=[pool()], folder=SHIPPED)
        case PriorStage():
            return stage, Inputs(prior_data=prior_data())
        case WordStage():
            return stage, Inputs(word_data=word_data())
        case VideoStage():
            return stage, Inputs(video_data=video_data())
    raise AssertionError(name)


def small_stage(name: str) -> TrainStage:
    """A preset's stage with small networks and batches."""
    stage = PRESETS[name].stage
    match stage:
        case GeneratorStage():
            batches = replace(stage.batches, images=4, clips=min(stage.batches.clips, 2), frames=2)
            return replace(stage, layers=replace(LAYERS, fused=stage.layers.fused), batches=batches)
        case AutoencoderStage():
            scales = VAEConfig(widths=(8, 8, 8, 8), layers=1, groups=4, attention=stage.scales.attention)
            return replace(stage, scales=scales, images=2, crop=16)
        case DepthStage():
            return replace(stage, widths=DepthConfig(channels=(8, 8), groups=4, over_time=stage.frames > 1), images=2)
        case PairStage():
            return replace(stage, towers=replace(TOWERS, heads=stage.towers.heads, fused=stage.towers.fused), images=4)
        case PriorStage():
            depths = PriorConfig(width=WIDTH, places=8, layers=1, heads=2, head_width=8, fused=stage.depths.fused)
            return replace(stage, depths=depths, reader=TOWERS, captions=4)
        case WordStage() | VideoStage():
            return small_word_stage(stage)
    raise AssertionError(name)


def small_word_stage(stage: WordStage | VideoStage) -> WordStage | VideoStage:
    """A stage of a network that reads words, with a small one and small batches."""
    layers = replace(LAYERS, fused=stage.layers.fused, token_width=WIDTH)
    if isinstance(stage, WordStage):
        return replace(stage, layers=layers, reader=TOWERS, batches=replace(stage.batches, images=4))
    batches = replace(stage.batches, clips=4, frames=min(stage.batches.frames, 3))
    return replace(stage, layers=replace(layers, max_frames=4), reader=TOWERS, batches=batches, size=(64, 64))


def distinct() -> list[str]:
    """Presets whose small stages differ in more than their seed, as those of later instalments may not."""
    first: dict[str, str] = {}
    for name in PRESETS:
        first.setdefault(repr(replace(small_stage(name), seed=0)), name)
    return list(first.values())


def initial_network(stage: TrainStage, inputs: Inputs) -> nn.Module:
    """The stage's network as it begins, the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return stage.network(inputs)


def cached(frames: int, clips: int = 5, side: int = 8) -> LatentCache:
    """A cache of random clips."""
    rng = torch.Generator().manual_seed(frames)
    latents = torch.randn(clips, frames, 4, side, side, generator=rng)
    structure = torch.randn(clips, 2, frames, 4, side, side, generator=rng)
    embeddings = nn.functional.normalize(torch.randn(clips, frames, WIDTH, generator=rng), dim=-1)
    return LatentCache(latents.half(), structure.half(), torch.arange(1, clips + 1).half(), embeddings.half())


def word_data(clips: int = 5, side: int = 8) -> WordData:
    """Random latents and depth, with random captions, and a small text encoder."""
    rng = torch.Generator().manual_seed(7)
    latents, depth = (
        torch.randn(clips, 2, 4, side, side, generator=rng),
        torch.rand(clips, 2, 2, side, side, generator=rng),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        text = CLIPTextModelWithProjection(TOWERS.text_config(Inputs(folder=SHIPPED).tokenizer(places=8, pieces=0)))
    ids = torch.randint(0, text.config.vocab_size, (clips, NUM_CAPTIONS, TOWERS.places), generator=rng)
    cache = WordCache(latents.half(), (2 * depth - 1).half(), [[""] * NUM_CAPTIONS] * clips)
    empty = torch.full((TOWERS.places,), text.config.eos_token_id)
    return WordData([cache], [ids], text.requires_grad_(False), empty)


def video_data(clips: int = 5, frames: int = 4, side: int = 64) -> VideoData:
    """Random clips with all of their conditions, random captions, and a small text encoder."""
    words, rng = word_data(clips), np.random.default_rng(4)
    conditions: dict[str, np.ndarray] = {
        kind: rng.integers(0, 256, (clips, frames, kind.channels, side, side), dtype=np.uint8)
        for kind in (Kind.DEPTH, Kind.EDGES, Kind.MOTION, Kind.POSE)
    }
    conditions["clip"] = rng.standard_normal((clips, frames, 4, side // 8, side // 8)).astype(np.float16)
    conditions["picture"] = rng.standard_normal((clips, frames, WIDTH)).astype(np.float16)
    latents = rng.standard_normal((clips, frames, 4, side // 8, side // 8)).astype(np.float16)
    return VideoData([VideoCache(latents, conditions, words.caches[0].captions)], words.ids, words.text, words.empty)


def pool(clips: int = 6, side: int = 32) -> RenderedDataset:
    """Pictures of noise, with depth and words."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (clips, 1, side, side, 3), dtype=np.uint8)
    inverse = rng.random((clips, 1, side, side)).astype(np.float16)
    captions = [[f"{word} {i}" for i in range(NUM_CAPTIONS)] for word in "abcdefgh"[:clips]]
    scenes = [
        {name: table[i % len(table)] for name, table in ATTRIBUTES.items()} | {"subjects": [{}]} for i in range(clips)
    ]
    return RenderedDataset(frames, inverse, np.zeros((clips, 1, side, side), np.uint8), captions, scenes)


def prior_data() -> PriorData:
    """Captions and embeddings, read by a text encoder with random weights."""
    rng = torch.Generator().manual_seed(2)
    tokenizer = Inputs(folder=SHIPPED).tokenizer(places=8, pieces=0)
    captions = torch.randint(200, (5, 2, 8), generator=rng)
    empty = torch.full((8,), tokenizer.eos_token_id)
    captions[..., -1] = tokenizer.eos_token_id
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        text = CLIPTextModelWithProjection(TOWERS.text_config(tokenizer)).eval().requires_grad_(False)
    return PriorData(CaptionPairs(captions, torch.randn(5, 3, WIDTH, generator=rng)), text, empty)
