"""Settings of `recast curate`, with their defaults."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from recast.curation.buckets import BUCKETS, Size, parsed
from recast.errors import RequestError

Amount = Annotated[FiniteFloat, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Sizes = Annotated[tuple[Size, ...], BeforeValidator(lambda value: parsed(value) if isinstance(value, str) else value)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", use_attribute_docstrings=True))
class Settings:
    """How sources become examples. `asked` raises RequestError for invalid values."""

    frames: int = Field(default=8, ge=2)
    """Frames of a clip."""
    stride: Count = 4
    """Frames of the source from one frame of a clip to the next."""
    fps: Annotated[FiniteFloat, Field(gt=0, le=1000)] | None = None
    """Frames per second of a clip, instead of `stride`; rounded to a whole stride."""
    buckets: Sizes = BUCKETS["paper"]
    """Sizes of clips and pictures; each is brought to the one of the nearest aspect ratio."""
    shots: str = "either"
    """How cuts are found; a name of `DETECTORS`."""
    folders: Literal["auto", "clip", "images"] = "auto"
    """How a folder of pictures is read; auto: as a clip where names differ only by contiguous numbers."""
    on_damage: Literal["fail", "warn", "repeat"] = "fail"
    """What is done with a damaged file: fail leaves it out, warn takes what can be decoded, repeat fills gaps."""
    skip: tuple[str, ...] = ()
    """Filters not to apply: names of `FILTERS`, and copies."""
    max_enlargement: Amount = 1.5
    """Most enlargement of a source to fill its bucket, as a factor."""
    min_motion: Amount = 0.4
    """Least 95th percentile of speed, in percent of the short side per frame of the clip."""
    max_motion: Amount = 16.0
    """Most median speed, in the same unit."""
    max_text: Amount = 0.01
    """Most share of the picture that readable text may cover, 0..1."""
    captioner: str | None = None
    """A folder with a captioning model of transformers, for clips without a caption."""
    model: str | None = "pocket"
    """Model, by name or folder, whose networks compute the conditioning; None leaves it out."""
    levels: int = Field(default=2, ge=1, le=8)
    """Number of t_s at which structure latents are kept: 0, and others of 1..7 drawn for each clip; 8 keeps all."""
    true_depth: bool = False
    """Whether worlds keep their true depth instead of the estimator's."""
    filmed: Annotated[FiniteFloat, Field(ge=0, le=1)] = 0.0
    """Share of the worlds with a camera's focus, exposure, noise and compression, 0..1; the others are as rendered."""
    pictures: Literal["jpg", "png", "none"] = "jpg"
    """Format of the frames; png is lossless."""
    per_shard: Count = 256
    """The most examples in a shard."""
    device: str = "cpu"
    """Device of the networks. Results of two devices differ in the last digits."""

    @classmethod
    def asked(cls, **fields: object) -> "Settings":
        """Settings from a user's values by name, numbers as text or not. Raises RequestError."""
        try:
            return TypeAdapter(cls).validate_python(fields)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            wrong = re.sub("^(Input should be|Value error,) |, unable to parse.*", "", first["msg"])
            name = str(first["loc"][0]).replace("_", " ")
            raise RequestError(f"{name} is {first['input']!r}; it should be {wrong}") from None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, without the device, on which results hardly depend."""
        dumped = TypeAdapter(Settings).dump_python(self, mode="json", exclude={"device"})
        return dumped | {"buckets": list(map(str, self.buckets)), "skip": sorted(self.skip)}
