"""An edited first frame, carried through the clip by its own features and attention: AnyV2V, arXiv:2403.14468."""

from dataclasses import dataclass
from typing import ClassVar

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.errors import BackboneError
from recast.methods.injection import ATTENTION, CONVOLUTION
from recast.methods.knobs import ContentGuidanceKnobs, UnitInterval
from recast.methods.needs import Need, lacking
from recast.methods.walks import InversionKnobs, SourceHooks, beside_source, in_windows
from recast.networks.hooks import Hook, SiteKind
from recast.networks.recorded_attention import RecordAttention, ReplayAttention
from recast.networks.recorded_features import LimitedHook, RecordFeatures, ReplayFeatures
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class AnyV2V(InversionKnobs, ContentGuidanceKnobs):
    """Inverts the clip under its own first frame, and walks back under an edited one with what the source's walk shows.

    arXiv:2403.14468, section 4. In the decoder it takes of the source's own pass at each level: the features of one
    convolution, queries and keys of attention over places, and queries and keys of attention over frames, by which the
    clip's motion is kept. Needs a network that starts a clip from a picture, and hooks; the picture is the edited first
    frame, made by any means. Network evaluations of a step: 2 to invert, 3 to edit. Draws nothing but what noises the
    picture.

    Differs: the source's features are those of its inverted latents at each level, not of a walk back from the last of
    them; published for I2VGen-XL and others, here for Stable Video Diffusion, whose shares nobody has tuned.
    """

    paper: ClassVar[str] = "AnyV2V, arXiv:2403.14468"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS, Need.FIRST_FRAME})

    features_until: UnitInterval = 0.2
    """The share of the steps, from the first on, that take the source's residual features."""
    attention_until: UnitInterval = 0.2
    """The share of the steps, from the first on, that take the source's attention over places."""
    motion_until: UnitInterval = 0.5
    """The share of the steps, from the first on, that take the source's attention over frames."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises BackboneError for a network that starts no clip from a picture.

        Raises RequestError without a source, or for a network without these layers.
        """
        if lacks := lacking(self.needs, backbone):
            raise BackboneError("; ".join(lacks))
        look, edit = (
            in_windows(inputs, backbone, self.guided_branches(inputs, backbone, backbone.denoise_branches, scale))
            for scale in (1.0, inputs.cfg_scale)
        )
        inverted = self.inverted(inputs, backbone, look)
        shares = self.features_until, self.attention_until, self.motion_until
        levels = tuple(map(inverted.level, shares))
        return inverted.walked(beside_source(backbone, edit, look, inverted, lambda: injection(*levels)))


def injection(features_above: float, places_above: float, frames_above: float) -> SourceHooks:
    """What is kept of the source's branch 0, and put into all branches of the edit above the levels given."""
    features = RecordFeatures(kind=SiteKind.RESIDUAL, sites=CONVOLUTION)
    attention = {
        kind: RecordAttention(parts=("q", "k"), kinds=frozenset({kind})) for kind in (SiteKind.SELF, SiteKind.TEMPORAL)
    }
    record: list[Hook] = [features]
    edit: list[Hook] = [LimitedHook(hook=ReplayFeatures(record=features, branch=0), above=features_above)]
    for kept, above in zip(attention.values(), (places_above, frames_above), strict=True):
        record.append(LimitedHook(hook=kept, sites=ATTENTION))
        put_in = ReplayAttention(record=kept, parts=("q", "k"), branch=0)
        edit.append(LimitedHook(hook=put_in, sites=ATTENTION, above=above))
    return SourceHooks(record, edit, (features.kept, *(kept.calls for kept in attention.values())))
