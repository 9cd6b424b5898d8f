"""Parts in one .safetensors file: a ControlNet, motion modules, an IP-Adapter; as first released, or diffusers'."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from diffusers.loaders.single_file_utils import (
    convert_animatediff_checkpoint_to_diffusers,
    convert_controlnet_checkpoint,
)
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_motion_model import MotionAdapter
from safetensors.torch import save_file
from torch import Tensor, nn

from recast.errors import RequestError, WeightsError
from recast.model.folder import ModelFolder
from recast.model.metadata import json_object

Tensors = Mapping[str, Tensor]
_MARKS = {
    "controlnet": ("control_model.", "input_hint_block.", "controlnet_cond_embedding."),
    "motion_adapter": ("motion_modules.",),
    "ip_adapter": ("image_proj.",),
}
"""What names of a part's weights hold, by the component that it is."""
_POSITIONS = "pos_encoder.pe"


def part_in(tensors: Tensors) -> str | None:
    """Which component a file's weights are of; None for a whole checkpoint, and for what is not known."""
    if any("lora" in name for name in tensors):
        return None
    return next((part for part, marks in _MARKS.items() if any(m in name for name in tensors for m in marks)), None)


def check_part(part: str, like: ModelFolder) -> None:
    """Raises RequestError where `like` has not one component of that kind for it to take the place of."""
    several = sorted(path.name for path in like.path.glob(f"{part}_*"))
    if several:
        wrong = f"{like.path} has several, {part} and {', '.join(several)}, and a file is one"
        raise RequestError(f"{wrong}; take a model with one for --like, or put it into its folder by hand")
    needed = "image_encoder" if part == "ip_adapter" else part
    if not like.has(needed):
        raise RequestError(f"{like.path} has no {needed}, which a {part} in one file needs; take another for --like")


def write_part(part: str, tensors: Tensors, like: ModelFolder, file: Path, folder: Path) -> None:
    """Writes the component's folder, with the configuration of the one in `like`.

    Raises WeightsError for weights that are missing, left over, or of another size.
    """
    if part == "ip_adapter":
        (folder / part).mkdir(exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / part / "model.safetensors")
        return
    config = json_object(like.component(part) / "config.json")
    network: Any = _KINDS[part].from_config(config)
    filled(network, _CONVERTED[part](tensors, network, file), part, file).save_pretrained(folder / part)


def filled(network: nn.Module, weights: Mapping[str, Tensor], name: str, file: Path) -> Any:  # noqa: ANN401 -- a network of diffusers or transformers
    """The network with these weights. Raises WeightsError where they are not exactly its own."""
    wanted = network.state_dict()
    for wrong, odd in {"lacks": wanted.keys() - weights.keys(), "leaves over": weights.keys() - wanted.keys()}.items():
        if odd:
            raise WeightsError(f"{file.name} {wrong} {len(odd)} weights of {name}, such as {min(odd)}; {file}")
    for each, weight in wanted.items():
        if weight.shape != weights[each].shape:
            shapes = f"{tuple(weights[each].shape)}, and the folder's configuration has {tuple(weight.shape)}"
            raise WeightsError(f"{file.name}: {name}'s {each} is {shapes}; take a folder of its kind for --like")
    network.load_state_dict(weights)
    return network


def _control(tensors: Tensors, network: nn.Module, file: Path) -> Tensors:
    try:
        return convert_controlnet_checkpoint(dict(tensors), network.config)
    except (AttributeError, KeyError, IndexError) as fault:
        raise WeightsError(f"{file.name} lacks a part of the ControlNet ({fault!r}); get it again; {file}") from fault


def _motion(tensors: Tensors, network: nn.Module, file: Path) -> Tensors:
    """Positions are the class's own waves, whose number has to be the file's."""
    own = {name: tensor for name, tensor in network.state_dict().items() if name.endswith("pos_embed.pe")}
    count = next(iter(own.values())).shape[1] if own else 0
    found = {tensor.shape[1] for name, tensor in tensors.items() if name.endswith(_POSITIONS)}
    if found - {count}:
        wrong = f"{file.name} has positions of {max(found)} frames and the folder's configuration of {count}"
        raise WeightsError(f"{wrong}; take motion modules of its version, or a folder of theirs for --like")
    return own | convert_animatediff_checkpoint_to_diffusers(dict(tensors))


_KINDS: dict[str, Any] = {"controlnet": ControlNetModel, "motion_adapter": MotionAdapter}
_CONVERTED: dict[str, Callable[[Tensors, nn.Module, Path], Tensors]] = {
    "controlnet": _control,
    "motion_adapter": _motion,
}
