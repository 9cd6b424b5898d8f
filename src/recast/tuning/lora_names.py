"""How files of LoRA name the layers that they change: kohya's, peft's, diffusers' and the models' own names."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from recast.errors import WeightsError
from recast.tuning.original_names import original_names

UNET, TEXT, TEXT_2 = "unet", "text_encoder", "text_encoder_2"
"""Networks that files change; UNET is what denoises, also where that is a transformer."""
_PART = re.compile(
    r"(?P<module>.+?)(?:\.processor)?(?P<layer>\.to_(?:q|k|v|out))?"
    r"[._](?:lora_(?P<a>A|B|down|up)|lora\.(?P<b>down|up)|lora_linear_layer\.(?P<c>down|up))(?:\.\w+)?\.weight"
)
_ALPHA = re.compile(r"(?P<module>(?:lora_|diffusion_model\.).+)\.alpha")
_DOWN = frozenset({"A", "down"})
_PREFIXES = {
    "lora_unet_": UNET,
    "lora_te1_": TEXT,
    "lora_te2_": TEXT_2,
    "lora_te_": TEXT,
    "text_encoder.": TEXT,
    "text_encoder_2.": TEXT_2,
    "diffusion_model.": UNET,
    "transformer.": UNET,
    "base_model.model.": UNET,
    "module.": UNET,
    "unet.": UNET,
}
"""What stands before a layer's path, and the network that it says; nothing is what denoises."""
_MOTION = {"temporal_transformer.": "", "attention_blocks.0.": "attn1.", "attention_blocks.1.": "attn2."}
"""Names of AnimateDiff's own motion modules, and what diffusers calls them."""
_FOLLOWED = re.compile(
    r"(?P<block>(?:down_blocks|up_blocks)\.\d+|mid_block)\.(?:attentions|resnets)\.(\d+)\.temporal\.motion\."
)

_TEXT_LAYER = re.compile(r"\.(q|k|v|out)_proj$")
"""Layers of a text encoder's attention, which diffusers' first files call as it calls a UNet's."""


@dataclass(frozen=True)
class LoraKey:
    """What one tensor of a file is: part `down`, `up` or `alpha` of a module, its path squashed by underscores."""

    network: str
    module: str
    part: str

    @classmethod
    def of(cls, name: str) -> "LoraKey | None":
        """From a tensor's name; None for one that no layout knows."""
        found = _PART.fullmatch(name) or _ALPHA.fullmatch(name)
        if found is None:
            return None
        groups = found.groupdict()
        module, network = groups["module"] + (groups.get("layer") or ""), UNET
        for prefix, which in _PREFIXES.items():
            if module.startswith(prefix):
                module, network = module.removeprefix(prefix), which
                break
        for own, theirs in _MOTION.items():
            module = f"{module}.".replace(own, theirs).removesuffix(".")
        way = groups.get("a") or groups.get("b") or groups.get("c")
        part = "alpha" if way is None else "down" if way in _DOWN else "up"
        return cls(network, _squashed(module), part)


def parsed(tensors: Mapping[str, Tensor], path: str) -> Iterator[tuple[LoraKey, Tensor]]:
    """Every tensor of a file with what it is. Raises WeightsError for names that no layout knows."""
    keys = {name: LoraKey.of(name) for name in tensors}
    odd = [name for name, key in keys.items() if key is None]
    if odd:
        wrong = f"{len(odd)} of {len(tensors)} tensors are of no known layout of LoRA, such as {odd[0]}"
        raise WeightsError(f"{Path(path).name}: {wrong}; layouts are kohya's, peft's and diffusers'; {path}")
    return ((key, tensors[name]) for name, key in keys.items() if key is not None)


def modules_of(network: nn.Module) -> dict[str, str]:
    """The path of each layer with a weight, by every squashed name that files have for it."""
    names = {}
    for path, module in network.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            names.update(dict.fromkeys(map(_squashed, _aliases(path, network)), path))
    return names


def _aliases(path: str, network: nn.Module) -> Iterator[str]:
    motion = _FOLLOWED.sub(r"\g<block>.motion_modules.\2.", path)
    for name in (path, motion, f"text_model.{path}", *original_names(path, network)):
        yield name
        yield name.removesuffix(".0") if name.endswith(".to_out.0") else _TEXT_LAYER.sub(r".to_\1", name)


def _squashed(path: str) -> str:
    return path.replace(".", "_")
