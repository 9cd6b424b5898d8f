"""Files that others trained for a model: LoRA in the layouts of kohya, peft and diffusers, and learned embeddings."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from recast.backbones.backbone import Backbone
from recast.backbones.stable_diffusion import ImageUNetBackbone, StableDiffusionBackbone, StableDiffusionXLBackbone
from recast.backbones.stable_diffusion.prompt import LearnedWords
from recast.backbones.stable_diffusion.xl import PairedPromptEncoder
from recast.backbones.video_transformer import VideoTransformerBackbone
from recast.conditions.subject import EmbeddedWord
from recast.errors import BackboneError, RequestError, WeightsError
from recast.tuning.lora_names import TEXT, TEXT_2, UNET, LoraKey, modules_of, parsed

OTHERS = {"dora_scale": "DoRA", "magnitude_vector": "DoRA", "hada_w": "LoHa", "lokr_w": "LoKr"}
"""Changes of weights that are not low-rank products, by what the names of their tensors hold."""
_NOTED = {UNET: UNET, "transformer": UNET, TEXT: TEXT, TEXT_2: TEXT_2}
"""Networks as headers of files name them."""
HEADER = "lora_adapter_metadata"
"""Where diffusers notes a LoRA's rank and alpha in a file."""

_NOISE = [re.compile(rf"(?<![a-z])(high|low){behind}(?![a-z])") for behind in ("[ _.-]?noise", "")]
"""Which network of two a file is for, in its name: with the word noise, or where that is not there, without."""


@dataclass(frozen=True, eq=False)
class LowRankFile:
    """One weight's change in a file: up @ down, times scale, which is alpha / rank. arXiv:2106.09685."""

    parts: dict[str, Tensor] = field(default_factory=dict)

    def change(self, scale: float, like: Tensor) -> Tensor:
        """What it adds to a weight. Raises KeyError for a half of it, RuntimeError for another shape."""
        down, up = (self.parts[name].float().flatten(1) for name in ("down", "up"))
        if "alpha" in self.parts:
            scale *= self.parts["alpha"].item() / len(down)
        return scale * (up @ down).view_as(like)


def is_published(path: str) -> bool:
    """Whether an adapter's name is that of a file, which others made; recast's own are folders."""
    return Path(path).is_file()


def with_published(backbone: Backbone, files: Sequence[tuple[str, float]]) -> tuple[Backbone, frozenset[str]]:
    """The backbone with LoRA files merged into its networks for good, each times its weight, and with embeddings.

    Also gives the words that prompts name embeddings by: those of their files. Raises WeightsError for a pickle, a
    damaged file, one of another network, or a kind of change that is not known; RequestError for an embedding's weight
    that is neither 0 nor 1, and, where the model has two networks, for a file whose name does not say which it changes;
    BackboneError for a family that reads no words as Stable Diffusion does.
    """
    words: list[str] = []
    for path, weight in files:
        networks = _networks(backbone, path)
        tensors, header = _read(Path(path))
        if any(LoraKey.of(name) for name in tensors):
            _merge(networks, parsed(tensors, path), _header_scales(header, path), weight, path)
        elif not isinstance(backbone, StableDiffusionBackbone) or isinstance(backbone, StableDiffusionXLBackbone):
            raise BackboneError(f"{path}: is no LoRA, and learned embeddings are for Stable Diffusion 1 and 2 only")
        elif weight:
            backbone = _with_embedding(backbone, tensors, weight, Path(path))
            words.append(Path(path).stem)
    return backbone, frozenset(words)


def _networks(backbone: Backbone, path: str) -> dict[str, nn.Module]:
    """The networks that files may change. Raises BackboneError for a family that they are not read for."""
    if isinstance(backbone, ImageUNetBackbone):
        networks: dict[str, nn.Module] = {UNET: backbone.unet}
        if isinstance(backbone, StableDiffusionBackbone):
            networks[TEXT] = backbone.prompt.network
            if isinstance(backbone.prompt, PairedPromptEncoder) and backbone.prompt.second is not None:
                networks[TEXT_2] = backbone.prompt.second.network
        return networks
    network = getattr(backbone, "network", None)
    if not isinstance(backbone, VideoTransformerBackbone) or not isinstance(network, nn.Module):
        raise BackboneError(
            f"{path}: files are read for Stable Diffusion and transformers of video, not for this model"
        )
    second = getattr(backbone, "at_little_noise", None)
    return {UNET: network if second is None else _of_two(network, second, Path(path))}


def _of_two(at_much_noise: nn.Module, at_little_noise: nn.Module, path: Path) -> nn.Module:
    """Of Wan 2.2's two networks the one that a file's name says, since nothing in the file does."""
    named = next(filter(None, (set(each.findall(path.stem.lower())) for each in _NOISE)), set())
    if len(named) != 1:
        wrong = "this model has a transformer for high noise and one for low, and the file's name does not say which"
        raise RequestError(f"{path.name}: {wrong}; give it a name with high_noise or low_noise in it; {path}")
    return at_much_noise if named == {"high"} else at_little_noise


def _read(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    if path.suffix.lower() in {".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"}:
        way_out = "take its .safetensors version, or convert it on a machine that may run it"
        raise WeightsError(f"{path.name} is a pickle, which can run code when read; {way_out}; {path}")
    try:
        with safe_open(path, framework="pt") as held:
            tensors = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118 -- not a dictionary
            header = held.metadata() or {}
    except (OSError, SafetensorError) as fault:
        raise WeightsError(f"{path.name} is no whole safetensors file ({fault}); get it again; {path}") from fault
    for part, kind in OTHERS.items():
        if any(part in name for name in tensors):
            raise WeightsError(f"{path.name} holds {kind}, and recast merges plain LoRA; take a LoRA of it; {path}")
    bad = next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None)
    if bad is not None:
        raise WeightsError(f"{path.name}: {bad} holds NaN or Inf; the file is damaged: get another; {path}")
    return tensors, header


def _header_scales(header: Mapping[str, str], path: str) -> dict[str, float]:
    """Alpha / rank by network, where the file's header says it; 1 where it does not."""
    try:
        noted = {**json.loads(header.get(HEADER, "{}"))}
    except (TypeError, ValueError) as fault:
        raise WeightsError(f"{path}: {HEADER} in its header is damaged ({fault}); get the file again") from fault
    if any(noted.get(f"{network}.{name}") for network in _NOTED for name in ("alpha_pattern", "rank_pattern")):
        raise WeightsError(f"{path} has an alpha or rank of each layer's own in its header, which is not read")
    try:
        return {
            which: noted[f"{network}.lora_alpha"] / noted[f"{network}.r"]
            for network, which in _NOTED.items()
            if f"{network}.lora_alpha" in noted
        }
    except (KeyError, TypeError, ZeroDivisionError) as fault:
        wrong = f"its header says an alpha and no rank that it could be divided by ({fault!r})"
        raise WeightsError(f"{path}: {wrong}; get the file again") from fault


@torch.no_grad()
def _merge(
    networks: Mapping[str, nn.Module],
    keys: Iterable[tuple[LoraKey, Tensor]],
    scales: Mapping[str, float],
    weight: float,
    path: str,
) -> None:
    named = {name: modules_of(network) for name, network in networks.items()}
    changes: dict[tuple[str, str], LowRankFile] = {}
    unknown = []
    for key, tensor in keys:
        module = named.get(key.network, {}).get(key.module)
        if module is None:
            unknown.append(key.module)
        else:
            changes.setdefault((key.network, module), LowRankFile()).parts[key.part] = tensor
    if unknown:
        wrong = f"changes layers that this model does not have, {len(set(unknown))} in all, such as {unknown[0]}"
        raise WeightsError(f"{Path(path).name} {wrong}; take one that was made for its family; {path}")
    for (network, module), change in changes.items():
        target = networks[network].get_parameter(f"{module}.weight")
        try:
            added = change.change(weight * scales.get(network, 1.0), target)
        except (KeyError, IndexError, RuntimeError, ZeroDivisionError) as fault:
            why = f"the file lacks {fault}" if isinstance(fault, KeyError) else fault
            wrong = f"{Path(path).name}: its change of {module} does not fit the layer ({why})"
            raise WeightsError(f"{wrong}; take one that was made for this family; {path}") from fault
        target.copy_(target.float() + added.to(target.device))


def _with_embedding(
    backbone: StableDiffusionBackbone, tensors: Mapping[str, Tensor], weight: float, path: Path
) -> StableDiffusionBackbone:
    """The backbone that reads the file's name as learned embeddings: textual inversion, arXiv:2208.01618."""
    if len(tensors) != 1:
        some = ", ".join(list(tensors)[:3]) or "no tensors"
        raise WeightsError(f"{path.name} is neither a LoRA nor one learned embedding; it holds {some}; {path}")
    if weight != 1:
        raise RequestError(f"{path.name} is a learned embedding, which is there or not: its weight is 0 or 1")
    [(name, tensor)] = tensors.items()
    if not tensor.ndim or not tensor.numel():
        wrong = f"{name} of shape {tuple(tensor.shape)} is no learned embedding, which is rows of numbers"
        raise WeightsError(f"{path.name}: {wrong}; get another; {path}")
    vectors = tensor.float().reshape(-1, tensor.shape[-1])
    encoder: Any = backbone.prompt.network
    table = encoder.get_input_embeddings().weight
    if vectors.shape[1] != table.shape[1]:
        shapes = f"is of width {vectors.shape[1]}, and this model's text encoder of {table.shape[1]}"
        raise WeightsError(f"{path.name} {shapes}; take one that was made for its family; {path}")
    word = EmbeddedWord(path.stem, len(vectors))
    ids = backbone.prompt.tokenizer(word.class_name, add_special_tokens=False)["input_ids"]
    assert len(ids) == len(vectors), "the stand-in is one token"
    offset = vectors.to(table.device) - table[ids].float()
    learned = (*backbone.prompt.learned, LearnedWords(word, offset))
    return replace(backbone, prompt=replace(backbone.prompt, learned=learned))
