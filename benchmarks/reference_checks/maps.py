"""Prompts aligned word by word, attention maps of an edit made from the source's, and masks of words."""

import tempfile
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from benchmarks.reference_checks.published import Check, Published, gap
from benchmarks.reference_checks.toys import PublishedAttention, attended, attention_layer, normal
from einops import rearrange
from torch import Tensor, nn
from transformers import CLIPTokenizer

from recast.backbones.tiny import write_tokenizer
from recast.conditions.word_alignment import prompt_tokens, refined, replaced
from recast.networks.hooks import Attend, AttentionCall
from recast.networks.map_control import (
    Alignment,
    CrossMapControl,
    SelfMapControl,
    WordMaps,
    record_places,
    record_words,
)
from recast.prompt import PromptTokens

FATEZERO = "ChenyangQiQi/FateZero"
FOLDER = "video_diffusion/prompt_attention/"
FRAMES, PLACES, TOKENS = 3, 16, 77
REFINED = "a cat on mat", "a big cat on red mat"
REPLACED = "a cat sits on mat", "a dog sits on bed"
LONGER = "a cat on mat", "a cat on carpet"


@cache
def _tokenizer() -> Any:  # noqa: ANN401 -- transformers' own type
    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer(Path(folder), places=TOKENS)
        return CLIPTokenizer.from_pretrained(folder)


def _spelt(pair: tuple[str, str]) -> tuple[PromptTokens, PromptTokens]:
    source, target = (prompt_tokens(_tokenizer(), text, TOKENS) for text in pair)
    return source, target


def _aligner(source: Published) -> Any:  # noqa: ANN401 -- a namespace
    names = ("ScoreParams", "get_matrix", "get_traceback_matrix", "global_align", "get_aligned_sequences", "get_mapper")
    return source.load(
        *names, "get_refinement_mapper", "get_word_inds", "get_replacement_mapper_", "get_replacement_mapper"
    )


def _maps() -> Tensor:
    return normal(FRAMES, 2, PLACES, TOKENS, seed=2).softmax(-1)


def refined_alignment(source: Published) -> float:
    """The alignment of a prompt with more words, as what it makes of random maps up to the end token."""
    mapper, own = _aligner(source).get_refinement_mapper(list(REFINED), _tokenizer())
    theirs = _maps()[..., mapper[0]] * own[0] + _maps().flip(-1) * (1 - own[0])
    alignment = refined(*_spelt(REFINED))
    ours = torch.lerp(_maps() @ alignment.mapping.double(), _maps().flip(-1), alignment.own.double())
    length = len(_spelt(REFINED)[1].pieces)
    return gap(ours[..., :length], theirs[..., :length])


def replaced_alignment(source: Published) -> float:
    """The alignment of prompts of as many words and tokens, whole."""
    theirs = _aligner(source).get_replacement_mapper(list(REPLACED), _tokenizer())[0]
    return gap(replaced(*_spelt(REPLACED)).mapping, theirs)


def longer_alignment(source: Published) -> float:
    """The alignment of prompts of as many words and more tokens, up to the last word that was replaced."""
    theirs = _aligner(source).get_replacement_mapper(list(LONGER), _tokenizer())[0]
    end = len(_spelt(LONGER)[1].pieces) - 1
    return gap(replaced(*_spelt(LONGER)).mapping[:, :end], theirs[:, :end])


def _edited(
    source: Published,
    hook: CrossMapControl | SelfMapControl,
    method: str,
    state: dict[str, object],
    **asked: Tensor,
) -> float:
    """A layer's answer under a published control of its maps, and under ours, with the maps of another clip.

    method: of the published control. state: what it reads of itself. asked: what it is asked with.
    """
    layer = attention_layer(type("CrossAttention", (PublishedAttention,), {}))
    earlier, hidden = (normal(FRAMES, PLACES, 8, seed=seed) for seed in (4, 5))
    tokens = normal(FRAMES, TOKENS, 8, seed=6) if isinstance(hook, CrossMapControl) else None
    attended(layer, earlier, hook.record, tokens=tokens)
    ours = attended(layer, hidden, hook, tokens=tokens)
    kept: list[Tensor] = []
    _register(source, layer, lambda maps, *_: kept.append(maps) or maps)
    layer.forward(earlier, tokens)
    published = Published(source.repository, f"{FOLDER}attention_util.py").load(method)
    control = getattr(published, method.rpartition(".")[2])
    holder = SimpleNamespace(**state)
    _register(source, layer, lambda maps, *_: control(holder, kept[0], maps[None], **asked)[0])
    return gap(ours, layer.forward(hidden, tokens))


def _register(source: Published, layer: nn.Module, controller: object) -> None:
    unet = nn.Module()
    unet.up_blocks = nn.Sequential(layer)
    given = SimpleNamespace(num_att_layers=0)
    called = type("Controller", (), {"__call__": lambda _self, *maps: controller(*maps)})()
    called.__dict__.update(vars(given))
    register = source.load("register_attention_control", print=lambda *_: None).register_attention_control
    register(SimpleNamespace(unet=unet), called)


def refined_maps(source: Published) -> float:
    """A layer whose maps of words are the source's where words are kept."""
    own = (torch.arange(TOKENS) % 3 == 0).double()
    order = torch.randperm(TOKENS, generator=torch.Generator().manual_seed(0))
    alignment = Alignment(torch.eye(TOKENS).double()[:, order], own, torch.ones(TOKENS).double())
    hook = CrossMapControl(record=record_words(), alignment=alignment)
    given = {"mapper": order[None], "alphas": (1 - own)[None, None, None]}
    return _edited(source, hook, "AttentionRefine.replace_cross_attention", given)


def replaced_maps(source: Published) -> float:
    """A layer whose maps of words are the source's, word by word."""
    mapping = replaced(*_spelt(REPLACED)).mapping.double()
    alignment = Alignment(mapping, torch.zeros(TOKENS).double(), torch.ones(TOKENS).double())
    hook = CrossMapControl(record=record_words(), alignment=alignment)
    return _edited(source, hook, "AttentionReplace.replace_cross_attention", {"mapper": mapping[None]})


def reweighted_maps(source: Published) -> float:
    """A layer whose maps of words are the source's, those of some tokens multiplied."""
    alignment = Alignment.same(TOKENS).reweighted((2, 5), 10.0)
    hook = CrossMapControl(record=record_words(), alignment=alignment)
    equalizer = torch.ones(1, TOKENS).double()
    equalizer[:, [2, 5]] = 10
    given = {"prev_controller": None, "equalizer": equalizer}
    return _edited(source, hook, "AttentionReweight.replace_cross_attention", given)


def blended_self_maps(source: Published) -> float:
    """A layer whose maps of self-attention are the source's but in a mask."""
    mask = (normal(FRAMES, PLACES, seed=8) > 0).double()
    hook = SelfMapControl(record=record_places(), mask=lambda _call: mask)
    asked = {"reshaped_mask": rearrange(mask, "f n -> 1 f 1 n 1")}
    return _edited(source, hook, "AttentionControlEdit.replace_self_attention", {}, **asked)


def word_mask(source: Published) -> float:
    """The mask of a word from two layers' maps of one size, as FateZero blends self-attention by it."""
    layers = [attention_layer() for _ in range(2)]
    layers[1].to_q.weight *= -0.7
    hidden, tokens = normal(FRAMES, PLACES, 8), 3 * normal(FRAMES, TOKENS, 8, seed=1)
    looked, kept = WordMaps(tokens=(3, 4), size=(4, 4)), []

    def keep(call: AttentionCall, attend: Attend) -> Tensor:
        kept.append(call.probabilities())
        return attend(call)

    for layer in layers:
        attended(layer, hidden, looked, keep, tokens=tokens)
    alpha = torch.zeros(1, 1, 1, 1, 1, TOKENS).double()
    alpha[..., [3, 4]] = 1
    state = SimpleNamespace(th=(0.8, 0.8), prompt_choose="source", save_path=None)
    maps = torch.cat([rearrange(each, "f h (y x) w -> 1 h f y x w", y=4) for each in kept], dim=1)
    mask = source.load("SpatialBlender.get_mask").get_mask(state, maps, alpha, True, 4, 4)
    ours = looked.mask(1.0, range(FRAMES), 0.8)
    return gap(rearrange(ours, "f 1 y x -> 1 f y x"), mask.float())


P2P = "google/prompt-to-prompt", "seq_aligner.py"
REGISTER = FATEZERO, f"{FOLDER}attention_register.py"
CHECKS = (
    Check("fatezero", *P2P, "get_refinement_mapper / refined", refined_alignment, "places behind the end token"),
    Check("fatezero", *P2P, "get_replacement_mapper / replaced", replaced_alignment),
    Check(
        "fatezero",
        *P2P,
        "get_replacement_mapper, more tokens / replaced",
        longer_alignment,
        "the end token and what is behind it, which is not moved along there",
    ),
    Check("fatezero", *REGISTER, "AttentionRefine in a layer / CrossMapControl", refined_maps),
    Check("fatezero", *REGISTER, "AttentionReplace in a layer / CrossMapControl", replaced_maps),
    Check("fatezero", *REGISTER, "AttentionReweight in a layer / CrossMapControl", reweighted_maps),
    Check("fatezero", *REGISTER, "replace_self_attention in a layer / SelfMapControl", blended_self_maps),
    Check(
        "fatezero",
        FATEZERO,
        f"{FOLDER}spatial_blend.py",
        "SpatialBlender.get_mask / WordMaps.mask",
        word_mask,
        "maps enlarged after they were widened, by nearest places, there; before, bilinearly, in ours",
    ),
)
