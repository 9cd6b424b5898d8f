"""Laws of an image network that learns words and depth: its data, its start, its loss, and the maps of its words."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch.testing import assert_close

from recast.backbones.families import BACKBONES
from recast.backbones.tiny import write_stable_diffusion
from recast.conditions.content import ContentInput, Medium
from recast.conditions.depth import depth_channel, normalized
from recast.conditions.detail import softened
from recast.data import word_cache
from recast.data.word_cache import WordCache
from recast.editing.loaded import Model
from recast.engine.config import BatchShard
from recast.evaluation.cases.worlds import case
from recast.evaluation.metrics.word_maps import word_map, word_map_score
from recast.evaluation.trials import FPS, frames_of
from recast.model.folder import ModelFolder
from recast.networks.spacetime import widen
from recast.networks.text_unet import DEPTH_CHANNELS, take_weights
from recast.recipes.pocket_words import export, steps
from recast.recipes.pocket_words.presets import POCKET_WORDS
from recast.training.stages import Inputs
from recast.types import Clip, Kind, Structure
from small_presets import LAYERS, initial_network, pool, small

NAME = "pocket-words-images"


def test_a_network_of_words_starts_as_the_one_that_it_came_from():
    """Where cross-attention is silent, depth is zero, and transformers that the other lacks have no effect yet."""
    torch.manual_seed(0)
    source = replace(LAYERS, attention=(False, True)).unet()
    unet = replace(LAYERS, token_width=20).unet()
    widen(unet, DEPTH_CHANNELS)
    take_weights(unet, source)
    for network in (source, unet):
        for name, weight in network.named_parameters():
            if ".attn2.to_out" in name:
                weight.data.zero_()
    latents, level = torch.randn(2, 4, 8, 8), torch.tensor([10.0, 700.0])
    expected = source(latents, level, torch.randn(2, 3, 16)).sample
    given = torch.cat([latents, torch.zeros(2, 1, 8, 8)], dim=1)
    assert_close(unet(given, level, torch.randn(2, 5, 20)).sample, expected, rtol=0, atol=2e-6)


def test_a_new_depth_channel_changes_nothing_and_reads_nothing_else():
    unet = LAYERS.unet()
    latents, level, tokens = torch.randn(2, 4, 8, 8), torch.tensor([10.0, 700.0]), torch.randn(2, 3, 16)
    expected = unet(latents, level, tokens).sample
    given = torch.cat([latents, torch.randn(2, 1, 8, 8)], dim=1)
    widen(unet, DEPTH_CHANNELS)
    assert_close(unet(given, level, tokens).sample, expected, rtol=0, atol=2e-6)
    assert unet.config.in_channels == 5


def test_the_loss_is_the_mean_of_its_parts_and_sees_its_words():
    stage, inputs = small(NAME)
    network = initial_network(stage, inputs)
    for block in network.modules():
        if hasattr(block, "proj_out"):
            torch.nn.init.normal_(block.proj_out.weight, std=0.1)
    loss = stage.loss(inputs)
    whole = loss(network, BatchShard(3))
    parts = [loss(network, BatchShard(3, part, 2)).mean for part in range(2)]
    assert_close(torch.stack(parts).mean(), whole.mean, rtol=0, atol=1e-6)
    silent = replace(stage, batches=replace(stage.batches, cond_drop_prob=1.0)).loss(inputs)
    other = replace(inputs.word_data, ids=[ids.flip(0).roll(1, 2) for ids in inputs.word_data.ids])
    blank = replace(stage, batches=replace(stage.batches, cond_drop_prob=1.0)).loss(Inputs(word_data=other))
    assert torch.equal(silent(network, BatchShard(3)).mean, blank(network, BatchShard(3)).mean)
    swapped = stage.loss(Inputs(word_data=other))(network, BatchShard(3)).mean
    assert not torch.equal(swapped, whole.mean)


def test_a_cache_holds_what_edits_give_the_network(tmp_path):
    """The latents of the pictures, and depth as the backbone makes its channel of it."""
    torch.manual_seed(0)
    shown = pool(clips=2, side=48)
    seen = torch.rand(1, 1, 32, 32)

    def encode(pictures: torch.Tensor) -> torch.Tensor:
        return torch.cat([pictures, pictures[:, :1]], dim=1)[..., ::8, ::8]

    word_cache.fill(tmp_path / "cache", shown, encode, lambda frames: seen[: len(frames)], side=32)
    cache = WordCache.opened(tmp_path / "cache")
    assert cache.latents.shape == (2, 1, 4, 4, 4)
    assert cache.depth.shape == (2, 2, 1, 4, 4)
    assert cache.captions == shown.captions
    assert_close(cache.depth[1, 0], depth_channel(normalized(seen), (4, 4))[:, 0].half(), rtol=0, atol=1e-3)
    assert any(
        torch.equal(cache.depth[1, 1], depth_channel(softened(normalized(seen), level), (4, 4))[:, 0].half())
        for level in range(1, 8)
    )


def test_a_longer_side_is_cut_about_its_middle(tmp_path):
    frames = np.zeros((1, 1, 32, 54, 3), np.uint8)
    frames[..., :3, :] = 255
    shown = replace(pool(clips=1, side=32), frames=frames, inverse=np.zeros((1, 1, 32, 54), np.float16))
    word_cache.fill(
        tmp_path / "cache",
        shown,
        lambda x: torch.cat([x, x[:, :1]], 1),
        lambda f: torch.zeros(len(f), 1, 1, 1),
        side=32,
    )
    assert WordCache.opened(tmp_path / "cache").latents.shape[-2:] == (32, 48)
    assert (WordCache.opened(tmp_path / "cache").latents == -1).all()  # the three white columns are cut off


def test_the_score_of_a_map_is_the_area_under_its_curve():
    mask = torch.zeros(2, 6, 6, dtype=torch.bool)
    mask[:, 2:4, 2:4] = True
    assert word_map_score(mask.float(), mask) == 1
    assert word_map_score(-mask.float(), mask) == 0
    assert word_map_score(torch.ones(2, 6, 6), mask) == pytest.approx(0.5)


def test_maps_of_all_tokens_fill_every_pixel(tmp_path):
    """The maps of the words, the start and the padding sum to one, as attention does."""
    folder = write_stable_diffusion(tmp_path / "model", depth=True)
    backbone = BACKBONES["stable_diffusion"](ModelFolder.found(folder))
    prompt = ContentInput(Medium.WORDS, "red ball")
    frames = torch.randint(0, 256, (2, 3, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    structure = Structure(Kind.DEPTH, torch.rand(2, 1, 32, 48))
    words = backbone.prompt_tokens([prompt])
    found = {word: word_map(backbone, frames, structure, prompt, word) for word, _ in words.words}
    assert all(each.shape == (2, 32, 48) and each.min() >= 0 for each in found.values())
    whole = sum(len(places) * found[word] for word, places in words.words)
    assert whole.max() < 1


def test_the_steps_of_the_model_come_in_order():
    assert set(steps.ORDER) == POCKET_WORDS.keys() | steps.CHORES.keys()
    for name, preset in POCKET_WORDS.items():
        before = [each for each in preset.after.split(", ") if each != steps.BASE]
        assert all(steps.ORDER.index(each) < steps.ORDER.index(name) for each in before)
        assert preset.command(name) == f"recast train {name} -o runs"


def test_what_ships_shares_its_other_networks_with_pocket():
    base, words = ModelFolder.found(steps.BASE), ModelFolder.found("pocket-words")
    for name in export.SHARED:
        files = sorted(path.name for path in (base.path / name).iterdir())
        assert files == sorted(path.name for path in (words.path / name).iterdir())
        assert all((base.path / name / file).read_bytes() == (words.path / name / file).read_bytes() for file in files)
    assert (words.path / "README.md").read_text() == export.CARD.read_text()
    assert words.metadata == export.FACTS
    backbone = Model.loaded("pocket-words").backbone
    assert (backbone.short_side, backbone.trained_side) == (192, 128)


def test_what_ships_finds_the_subject_by_its_word():
    """Of one world; `benchmarks/word_maps.py` tells it of many."""
    model, shown = Model.loaded("pocket-words"), case(1001, 192, 1)
    clip = Clip(frames_of(shown.source), FPS)
    prompt = ContentInput(Medium.WORDS, shown.source_words)
    subject = shown.source.scene.subjects[0].kind
    found = word_map(model.backbone, clip.frames, model.extractor("depth")(clip), prompt, subject)
    assert word_map_score(found, torch.from_numpy(shown.source.masks > 0)) > 0.85


def test_the_network_is_initialised_from_pocket():
    """Where the two have weights of one name and shape, which are nearly all."""
    base = ModelFolder.found(steps.BASE)
    unet = POCKET_WORDS[NAME].stage.network(Inputs(start=base))
    held, source = unet.state_dict(), base.network("unet", UNet2DConditionModel).state_dict()
    same = [name for name in held if name in source and held[name].shape == source[name].shape]
    assert all(torch.equal(held[name], source[name]) for name in same)
    assert sum(held[name].numel() for name in same) > 0.8 * sum(weight.numel() for weight in held.values())
