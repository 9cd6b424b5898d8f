"""Noise the source, denoise it to the new content: SDEdit, arXiv:2108.01073."""

from dataclasses import dataclass
from typing import ClassVar

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.methods.gen1 import Gen1
from recast.methods.needs import Need
from recast.methods.unstructured import NoisedSourceKnobs, unstructured
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class SDEdit(NoisedSourceKnobs, Gen1):
    """Starts from the noised source without structure; the noised source is all that keeps it. arXiv:2108.01073.

    With a Gen-1 backbone it is the paper's ablation "~s" (arXiv:2302.03011, section 4.2). Differs: a network that was
    always given a structure is given a flat one of the least detail, which it has seen, rather than none.
    """

    paper: ClassVar[str] = "SDEdit, arXiv:2108.01073"
    needs: ClassVar[frozenset[Need]] = frozenset()
    over_time: ClassVar[frozenset[str]] = Gen1.over_time - {"structure_detail"}

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range."""
        return super().__call__(unstructured(inputs, backbone), backbone)
