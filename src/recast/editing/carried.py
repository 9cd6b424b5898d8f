"""What a record says of carried keyframes or of a rendered substrate, and the same result made again."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from recast.editing.progress import no_progress
from recast.editing.record import Record, digest
from recast.editing.substrates import SubstrateRequest, propagate, render
from recast.errors import MediaError, RequestError
from recast.progress import ProgressCallback


class CarriedRequest(BaseModel):
    """As `propagate` and `render` wrote it. keys: edited frames by number, shapes: where their subjects are.

    edited: pictures by the names of layers.
    """

    model_config = ConfigDict(extra="forbid")

    command: Literal["propagate", "substrate render"]
    by: str
    source: Path
    mask: Path | None = None
    keys: dict[NonNegativeInt, Path] = Field(default_factory=dict)
    shapes: dict[NonNegativeInt, Path] = Field(default_factory=dict)
    edited: dict[str, Path] = Field(default_factory=dict)
    short_side: Annotated[int, Field(ge=32, le=2048)]
    passes: Annotated[int, Field(ge=0, le=1000)]

    @classmethod
    def of(cls, record: Record) -> "CarriedRequest | None":
        """None for the record of anything else. Raises MediaError where it is damaged."""
        if "command" not in record.request:
            return None
        try:
            return cls.model_validate(record.request | record.worked)
        except ValidationError as fault:
            first = fault.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise MediaError(f"the file's record is damaged, or of a later version: {place}: {first['msg']}") from None

    @property
    def files(self) -> dict[str, Path]:
        """All that is read, by what it is."""
        named = {"source": self.source} | ({} if self.mask is None else {"mask": self.mask})
        named |= {f"keyframe {number}": path for number, path in self.keys.items()}
        named |= {f"shape {number}": path for number, path in self.shapes.items()}
        return named | self.edited

    def check_unchanged(self, record: Record) -> None:
        """Raises RequestError where a file is another one than it was."""
        for path in self.files.values():
            if record.inputs.get(str(path)) not in (None, digest(path)):
                raise RequestError(f"{path} has changed since; to use it all the same, give `recast {self.command}`")

    def made_again(
        self, target: Path, watch: ProgressCallback = no_progress, *, overwrite: bool = False
    ) -> tuple[str, ...]:
        """Writes it; returns what could not be kept."""
        clip = SubstrateRequest(self.source, self.mask, self.short_side, self.passes)
        if self.command == "propagate":
            return propagate(clip, self.keys, target, by=self.by, shapes=self.shapes, watch=watch, overwrite=overwrite)
        return render(clip, self.edited, target, by=self.by, watch=watch, overwrite=overwrite)
