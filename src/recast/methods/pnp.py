"""Features and attention of the source put into the edit, each frame an image of its own: Plug-and-Play, 2211.12572."""

from dataclasses import dataclass
from typing import ClassVar

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.methods.injection import injection
from recast.methods.knobs import ContentGuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.methods.walks import InversionKnobs, beside_source, in_windows
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class PlugAndPlay(InversionKnobs, ContentGuidanceKnobs):
    """Inverts each frame, and in the walk back takes residual features, queries and keys of the source's own walk.

    arXiv:2211.12572, algorithm 1. Frames never see each other: it is the field's image editor, frame by frame, and
    flickers. Needs attention and feature hooks; any prompts. Network evaluations of a frame: 2 a step to invert it, and
    3 a step to edit it. Draws nothing, so the seed changes nothing.

    Differs: the source's features are those of its inverted latents at each level, not of a walk back from the last of
    them; latents are the mean of the autoencoder; the temporal layers of a network that has them are off.
    """

    paper: ClassVar[str] = "Plug-and-Play, arXiv:2211.12572"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS})

    features_until: UnitInterval = 0.8
    """The share of the steps, from the first on, that take the source's residual features."""
    attention_until: UnitInterval = 0.5
    """The share of the steps, from the first on, that take the source's queries and keys."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError without a source, or for a network without these layers."""
        look = in_windows(inputs, backbone, self.images(inputs, backbone, 1.0))
        inverted = self.inverted(inputs, backbone, look)
        levels = inverted.level(self.features_until), inverted.level(self.attention_until)
        edit = in_windows(inputs, backbone, self.images(inputs, backbone, inputs.cfg_scale))
        return inverted.walked(beside_source(backbone, edit, look, inverted, lambda: injection(*levels)))
