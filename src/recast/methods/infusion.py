"""The source's features and attention, fused with the edit's where words differ: InFusion, arXiv:2308.00135."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.conditions.word_alignment import changed_places, refined
from recast.denoising import DenoiseInputs
from recast.methods.injection import ATTENTION, CONVOLUTION
from recast.methods.knobs import ContentGuidanceKnobs, UnitInterval, as_images
from recast.methods.needs import Need
from recast.methods.walks import InversionKnobs, InvertedInputs, SourceHooks, beside_source, in_windows, wanted_first
from recast.networks.fusion import FusedFeatures, FusedKeyValues
from recast.networks.hooks import SiteKind
from recast.networks.map_control import WORD_PLACES, CrossMapControl, WordMaps, record_words
from recast.networks.recorded_attention import RecordAttention
from recast.networks.recorded_features import LimitedHook, RecordFeatures
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class InFusion(InversionKnobs, ContentGuidanceKnobs):
    """Inverts each frame, and walks back with what the edit changes cut out of its own walk and put into the source's.

    arXiv:2308.00135. In the decoder, a residual block gives the source's features, plus the edit's difference from
    them where that is large (inject). Self-attention asks the source's keys and values, and cross-attention takes the
    source's maps of words that both prompts have; where the source looks at words that the edit has not, both are the
    edit's own (attention fusion). Needs attention and feature hooks; without words no place is told from another in
    attention. Network evaluations of a frame: 2 a step to invert it, and 3 a step to edit it. Windows change nothing.
    Draws nothing, so the seed changes nothing.

    Differs: the source's features and maps are those of its inverted latents at each level; layers are those of `pnp`;
    no concept is taught to the network beforehand (LoRA); the temporal layers of a network that has them are off.
    """

    paper: ClassVar[str] = "InFusion, arXiv:2308.00135"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS})

    features_until: UnitInterval = 0.8
    """The share of the steps, from the first on, in which features are fused."""
    difference: UnitInterval = 0.3
    """From which share of its largest value on the edit's difference counts in features; 1 keeps the source's alone."""
    edited_scale: Annotated[float, Field(ge=0, le=10)] = 1.0
    """What the difference is multiplied by; more shows more of what the prompt adds."""
    attention_until: UnitInterval = 0.5
    """The share of the steps, from the first on, that ask the source's keys and values."""
    cross_until: UnitInterval = 0.8
    """The share of the steps, from the first on, that take the source's maps of words."""
    word_threshold: UnitInterval = 0.3
    """From which share of its largest value on a place looks at words that change."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError without a source, or for a network without these layers."""
        look = in_windows(inputs, backbone, self.images(inputs, backbone, 1.0))
        inverted = self.inverted(inputs, backbone, look)
        asked = wanted_first(as_images(backbone.denoise_branches))
        edit = in_windows(inputs, backbone, self.guided_branches(inputs, backbone, asked, inputs.cfg_scale))
        return inverted.walked(beside_source(backbone, edit, look, inverted, partial(self._fused, inverted)))

    def _fused(self, inverted: InvertedInputs) -> SourceHooks:
        source, target = inverted.source.words, inverted.inputs.condition.words
        changed = changed_places(source, target) if source and target else ()
        rows, columns = inverted.inversion.trajectory[0].shape[-2:]
        looked = WordMaps(tokens=changed, size=(rows, columns))
        mask = looked.place_mask(self.word_threshold) if changed else None
        features = RecordFeatures(kind=SiteKind.RESIDUAL, sites=CONVOLUTION)
        own = RecordAttention(parts=("k", "v"), kinds=frozenset({SiteKind.SELF}))
        maps = record_words()
        few = partial(LimitedHook, most_places=WORD_PLACES)
        alignment = refined(source, target) if source and target else None
        words = CrossMapControl(record=maps, alignment=alignment, mask=mask)
        fused = FusedFeatures(source=features, threshold=self.difference, scale=self.edited_scale)
        edit = (
            LimitedHook(hook=fused, above=inverted.level(self.features_until)),
            LimitedHook(
                hook=FusedKeyValues(source=own, mask=mask), sites=ATTENTION, above=inverted.level(self.attention_until)
            ),
            few(hook=words, above=inverted.level(self.cross_until)),
        )
        record = (features, LimitedHook(hook=own, sites=ATTENTION), few(hook=maps))
        return SourceHooks((*record, looked) if changed else record, edit, (features.kept, own.calls))
