"""What a model by name is made of: files of repositories, and under which licence."""

from dataclasses import dataclass, field
from typing import Any

RAIL = "CreativeML Open RAIL-M"
APACHE = "Apache-2.0"
NON_COMMERCIAL = "CC-BY-NC-4.0 (no commercial use)"

_BY_PICTURE = {"StableDiffusionImageVariationPipeline", "StableVideoDiffusionPipeline"}
"""Classes whose network reads a picture, and words by a prior alone."""


@dataclass(frozen=True)
class SpecFile:
    """A file of a model folder. names: its paths in the repository, the first one that is there is taken.

    into: the folder's component. rename: its name there, if not its own.
    """

    into: str
    names: tuple[str, ...]
    rename: str = ""


@dataclass(frozen=True)
class SpecPart:
    """What comes from one repository. repos: it, and others to take where it is gone, in this order.

    revision: a branch or pull request of theirs that has the files, where the main one lacks them as safetensors.
    """

    repos: tuple[str, ...]
    licence: str
    files: tuple[SpecFile, ...]
    revision: str | None = None


@dataclass(frozen=True)
class ModelSpec:
    """A model by name. about: in a line. gigabytes: of what a pull brings, about; the hub says it to the byte.

    pipeline: the class that model_index.json names. written: JSON files that the repositories lack, by path.
    metadata: the folder's recast.json. index: entries of model_index.json besides the class. note: what is to be known
    before a pull.
    """

    about: str
    pipeline: str
    gigabytes: float
    parts: tuple[SpecPart, ...]
    metadata: dict[str, Any] = field(default_factory=dict)
    written: dict[str, dict[str, Any]] = field(default_factory=dict)
    index: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def components(self) -> frozenset[str]:
        """The folder's components."""
        return frozenset(file.into for part in self.parts for file in part.files)

    @property
    def content(self) -> frozenset[str]:
        """What an edit is asked in, words or pictures; nothing for a network that edits nothing by itself."""
        held = self.components
        words = self.pipeline not in _BY_PICTURE or "prior" in held
        pictures = "image_encoder" in held or "VACE" in self.pipeline or "ImageToVideo" in self.pipeline
        return frozenset(["words"] * words + ["picture"] * pictures) if self.edits else frozenset()

    @property
    def edits(self) -> bool:
        """Whether it is a network that edits; other models are what those use besides."""
        return bool(self.components & {"unet", "transformer"})

    @property
    def licences(self) -> tuple[str, ...]:
        """All that apply, each once."""
        return tuple(dict.fromkeys(part.licence for part in self.parts))


def network_files(into: str, at: str = "", stem: str = "diffusion_pytorch_model") -> tuple[SpecFile, ...]:
    """A network's configuration and weights, in half precision where the repository has these."""
    folder = f"{at}/" if at else ""
    weights = tuple(f"{folder}{stem}{variant}.safetensors" for variant in (".fp16", ""))
    return SpecFile(into, (f"{folder}config.json",)), SpecFile(into, weights)
