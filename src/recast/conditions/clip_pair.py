"""A CLIP pair: the two encoders, of pictures and of words, whose embeddings can be compared."""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import safe_open
from torch import Tensor

from recast.conditions.image import ImageEncoder
from recast.conditions.text import TextEncoder
from recast.errors import WeightsError
from recast.model.folder import MODELS, ModelFolder
from recast.model.index import has_index
from recast.model.metadata import json_object
from recast.model.weight_files import weight_files
from recast.types import Embedding, Frames

AT_ONCE = 16
"""Frames in one pass, which bounds memory and changes no result."""


@dataclass(frozen=True, eq=False)
class ClipPair:
    """Both encoders. name: what results call it. known_words: what its words were learned of; empty for all.

    scale: what cosines are times in training, the exponential of `logit_scale`; 1 where the folder does not say.
    """

    name: str
    pictures: ImageEncoder
    words: TextEncoder
    known_words: frozenset[str] = frozenset()
    scale: float = 1.0

    @classmethod
    def opened(cls, name_or_path: str, device: torch.device) -> "ClipPair":
        """That of a model folder, or a CLIPModel as transformers saves it, such as clip-vit-large-patch14.

        Raises WeightsError where it is neither, or damaged.
        """
        path = Path(name_or_path).expanduser().resolve()
        if name_or_path in MODELS or not (path / "config.json").is_file() or has_index(path):
            folder = ModelFolder.found(name_or_path)
            name = f"CLIP pair of {name_or_path if name_or_path in MODELS else folder.path.resolve().name}"
            pictures, words = ImageEncoder.opened(folder, device), TextEncoder.opened(folder, device)
            return cls(name, pictures, words, folder.known_words)
        return cls._published(path, device)

    @classmethod
    def _published(cls, path: Path, device: torch.device) -> "ClipPair":
        """The folder of a CLIPModel, which holds both networks and what they need; pictures are cropped as its own."""
        from transformers import CLIPTextModelWithProjection, CLIPTokenizer, CLIPVisionModelWithProjection
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

        kind = json_object(path / "config.json").get("model_type")
        if kind != "clip":
            raise WeightsError(
                f"this is no CLIP pair, its model_type is {kind!r}; take the folder of a CLIPModel; {path}"
            )
        folder = ModelFolder.around(path)
        seer = folder.network(path.name, CLIPVisionModelWithProjection).to(device)
        reader = folder.network(path.name, CLIPTextModelWithProjection).to(device)
        processor, tokenizer = (folder.part(path.name, each) for each in (CLIPImageProcessorPil, CLIPTokenizer))
        pictures = ImageEncoder(seer, processor, device, keep_all=False)
        return cls(path.name, pictures, TextEncoder(reader, tokenizer, device), scale=_scale(path))

    def embeddings(self, frames: Frames) -> Float[Tensor, "t d"]:
        """One embedding a frame, on the CPU."""
        return torch.cat([self.pictures.embeddings(part) for part in frames.split(AT_ONCE)])

    def places(self, frames: Frames) -> Float[Tensor, "t n d"]:
        """Features of the patches of each frame, on the CPU."""
        return torch.cat([self.pictures.places(part) for part in frames.split(AT_ONCE)])

    def embedded(self, text: str) -> Embedding:
        """The embedding of words, on the CPU. Raises RequestError for more of them than it reads."""
        return self.words(text).pooled.cpu()


@dataclass(frozen=True)
class WordDirection:
    """What pictures should show, and what they show by their own words, where these are known; embeddings, normed."""

    wanted: Embedding
    own: Embedding | None = None

    @classmethod
    def of(cls, pair: ClipPair, wanted: str, own: str | None) -> "WordDirection":
        """Embedded by a CLIP pair. Raises RequestError for more words than it reads."""
        given = [None if text is None else F.normalize(pair.embedded(text), dim=-1) for text in (wanted, own)]
        assert given[0] is not None
        return cls(given[0], given[1])

    def off(self, before: Float[Tensor, "b d"], after: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
        """How far changed pictures are from it: 1 - cosine with the words, and the same of the way that they went.

        before, after: normed embeddings of the pictures. The way's part is StyleGAN-NADA's directional loss
        (arXiv:2108.00946), of the words' difference, and is left out where the pictures' own words are not known.
        """
        wanted = self.wanted.to(after)
        off = 1 - after @ wanted
        if self.own is None:
            return off
        way = F.normalize(wanted - self.own.to(after), dim=-1)
        return off + 1 - F.normalize(after - before, dim=-1) @ way


def _scale(path: Path) -> float:
    for file in weight_files(path.name, path):
        with safe_open(file, "pt") as held:
            if "logit_scale" in held.keys():  # noqa: SIM118 -- it is no dictionary
                return float(held.get_tensor("logit_scale").float().exp())
    return 1.0
