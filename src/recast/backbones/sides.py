"""Sizes of frames that a model's recast.json says."""

from dataclasses import dataclass, field

from recast.model.metadata import ModelMetadata


@dataclass(frozen=True, eq=False, kw_only=True)
class SizedByMetadata:
    """A backbone whose networks' own configurations do not say of which frames they are."""

    metadata: ModelMetadata = field(default_factory=ModelMetadata)

    @property
    def short_side(self) -> int:
        """In pixels, of clips as they are worked on where the user says no size."""
        return self.metadata.short_side

    @property
    def trained_side(self) -> int:
        """In pixels, of the frames of training, by which t_s is measured; unsaid, the same."""
        return self.metadata.trained_side or self.short_side
