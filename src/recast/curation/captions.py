"""Captions of clips: read from files beside them, or predicted by a captioning model."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from recast.errors import WeightsError
from recast.model.configs import check_configs
from recast.model.folder import quiet

MOST_TOKENS = 40
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def beside(path: Path) -> str | None:
    """The caption in NAME.txt or NAME.json beside a file, or in a folder; None where none can be read.

    JSON: an object with `caption`, or with a list `captions`, of which the first is taken.
    """
    stems = [path.with_suffix("") if path.is_file() else path, path, path / "caption"]
    for stem in stems:
        for ending, reader in ((".txt", _plain), (".json", _field)):
            file = stem.with_name(stem.name + ending)
            if file.is_file():
                return reader(file)
    return None


def _plain(file: Path) -> str | None:
    return " ".join(file.read_text("utf-8", errors="replace").split()) or None


def _field(file: Path) -> str | None:
    try:
        content = json.loads(file.read_text("utf-8"))
    except ValueError:
        return None
    known = content if isinstance(content, dict) else {}
    listed = known.get("captions")
    caption = known.get("caption") or (listed[0] if isinstance(listed, list) and listed else None)
    return " ".join(caption.split()) or None if isinstance(caption, str) else None


@dataclass(frozen=True, eq=False)
class Captioner:
    """A picture's caption by a network of transformers, such as BLIP (arXiv:2201.12086)."""

    network: Any
    processor: Any
    device: torch.device

    @classmethod
    def opened(cls, folder: str, device: str = "cpu") -> "Captioner":
        """The captioner in a folder. Raises WeightsError where it is missing, unsafe or damaged; downloads nothing."""
        from transformers import AutoModelForImageTextToText, AutoProcessor

        path = Path(folder)
        if not (path / "config.json").is_file():
            raise WeightsError(f"there is no captioning model (config.json and safetensors) in {folder}")
        if not list(path.glob("*.safetensors")):
            held = sorted(file.name for file in path.iterdir() if file.suffix in _PICKLES)
            why = f"{held[0]} can run code when read; convert it" if held else "there is no safetensors file"
            raise WeightsError(f"the captioner cannot be read: {why}; {folder}")
        check_configs("the captioner", path)
        try:
            with quiet():
                safely = {"local_files_only": True, "trust_remote_code": False}
                processor = AutoProcessor.from_pretrained(folder, backend="pil", **safely)
                network = AutoModelForImageTextToText.from_pretrained(folder, use_safetensors=True, **safely)
        except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as fault:
            raise WeightsError(f"the captioner cannot be read: {str(fault).splitlines()[0][:200]}; {folder}") from fault
        return cls(network.to(device).eval(), processor, torch.device(device))

    @torch.no_grad()
    def __call__(self, picture: UInt8[Tensor, "3 h w"]) -> str | None:
        """One caption, by greedy decoding."""
        given = self.processor(images=picture.numpy(), input_data_format="channels_first", return_tensors="pt")
        ids = self.network.generate(
            pixel_values=given["pixel_values"].to(self.device), max_new_tokens=MOST_TOKENS, do_sample=False
        )
        return " ".join(self.processor.batch_decode(ids, skip_special_tokens=True)[0].split()) or None


@cache
def captioner(folder: str, device: str) -> Captioner:
    """The captioner in a folder, opened once a process."""
    return Captioner.opened(folder, device)
