"""What is to be known of a model before its weights are read: its folder's recast.json."""

import json
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from recast.errors import WeightsError

MOST_BYTES = 2**22
"""Of a JSON file; those that list the weights of large models have a tenth of that."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ModelMetadata:
    """What diffusers' own files do not say of a model; the folder's recast.json, every entry optional."""

    short_side: Annotated[int, Field(ge=8, le=4096)] = 512
    """Short side, in pixels, that clips are brought to where the user says none."""
    trained_side: Annotated[int, Field(ge=8, le=4096)] | None = None
    """Short side, in pixels, of the frames that it was trained on; unsaid, short_side. t_s is measured at it."""
    aspect: Annotated[float, Field(ge=0.1, le=10)] | None = None
    """Width over height of clips made without a source; unsaid, 16:9, or 1 where frames do not share latents."""
    structures: tuple[Literal["depth", "edges", "lineart", "hed", "pose", "motion"], ...] = ("depth",)
    """The kinds of structure that it can be conditioned on; members of `recast.types.Kind`."""
    structure_optional: bool = False
    """Whether it was trained without structure too: one of weight 0 then stands for none, and clips need no source."""
    frames: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Frames of the clips that it was trained on; unsaid where that is not known, or where it never saw clips."""
    fps: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Frames a second of the clips that it was trained on; unsaid where that is not known."""
    window: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Most frames that it sees at once where the user says none; unsaid, `frames`, or 16 where that is unsaid too."""
    cfg_scale: Annotated[float, Field(ge=0, le=100)] = 4.0
    """Guidance where the user says none, omega in Gen-1's eq. 8; 1 is none."""
    steps: Annotated[int, Field(ge=1, le=1000)] = 25
    """Denoising steps where the user says none."""
    ensemble: Annotated[int, Field(ge=1, le=64)] = 1
    """Answers averaged at each step where the user says nothing of it."""
    method: str = "gen1"
    """The method of an edit where the user says none; a name in `recast.methods.METHODS`, which edits check."""
    method_defaults: dict[str, dict[str, float]] = field(default_factory=dict)
    """Settings of single methods where the user says none: by method, steps, cfg, ensemble and its knobs."""
    prior_scale: Annotated[float, Field(ge=0, le=100)] = 4.0
    """Guidance of the prior, from words to an image embedding; 1 is none."""
    embedding_norm: Literal["raw", "unit"] = "raw"
    """Length of the content embeddings that it was trained with: as the encoder gives them, or scaled to 1."""
    image_scale: Annotated[float, Field(ge=0, le=10)] = 1.0
    """How strongly pictures act beside words where an IP-Adapter reads them; 0 is not at all."""
    depth_unit: Literal["inverse", "metres"] | None = None
    """What the depth estimator gives; unsaid, the estimator's own configuration tells."""
    known_words: str | None = None
    """A text file of the folder: the words of its training captions, one a line."""

    family: str | None = None
    """The family, a name in `recast.backbones.families.BACKBONES`; unsaid, model_index.json's class tells."""

    @classmethod
    def read(cls, path: Path) -> "ModelMetadata":
        """The facts in a file; the defaults where there is none. Raises WeightsError for what is not understood."""
        try:
            return cls(**(json_object(path) if path.exists() else {}))
        except ValidationError as fault:
            first, entries = fault.errors()[0], ", ".join(cls.__dataclass_fields__)
            where = ".".join(map(str, first["loc"]))
            raise WeightsError(f"recast.json, {where}: {first['msg']}; entries are {entries}; {path}") from fault


def json_object(path: Path) -> dict[str, Any]:
    """What one of a model's JSON files holds. Raises WeightsError where it is no JSON object."""
    if path.exists() and not path.is_file():
        raise WeightsError(f"{path.name} is no regular file; get it again; {path}")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"{path.stat().st_size} bytes, and at most {MOST_BYTES} are read")
        return {**json.loads(path.read_text("utf-8"), parse_constant=_no_number)}
    except (OSError, RecursionError, TypeError, ValueError) as fault:
        raise WeightsError(f"{path.name} is damaged ({fault}); get it again; {path}") from fault


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON's")
