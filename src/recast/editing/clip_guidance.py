"""Latents moved towards words by a CLIP pair, within the mask and as much as each frame asks: after Soundini.

arXiv:2304.06818. Its guidance is the gradient of a directional loss between the source's frames and the edit's, inside
of a mask, by the loudness of a sound. There a network embeds the sound itself; here words say what it looks like.
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from recast.backbones.backbone import Backbone
from recast.conditions.clip_pair import ClipPair, WordDirection
from recast.curves import Curve
from recast.denoising import Branch, DenoiseInputs
from recast.diffusion.latent_guidance import LatentGuidance, gradient_of
from recast.diffusion.windows import windowed
from recast.editing.loaded import Model
from recast.editing.resolve import ResolvedEdit
from recast.errors import RequestError, WeightsError
from recast.methods import METHODS
from recast.types import Clip, Condition, Latents, Maps

GUIDED = "clip_guidance"
VIEWED = 0.7
"""Of the sides of a frame, in the views that the pair is shown besides the whole."""


@dataclass(frozen=True, eq=False)
class ClipGradient:
    """The gradient of a CLIP pair's loss by noisy latents, called as a denoiser is.

    clip: the source. mask: 1 where it is edited, at its size; None is everywhere. scale: of each frame's loss, by its
    number in the source.
    """

    backbone: Backbone
    clip: Clip
    mask: Maps | None
    pair: ClipPair
    words: WordDirection
    scale: float | Curve
    before: tuple[Float[Tensor, "t d"], ...] = field(init=False)

    def __post_init__(self) -> None:
        with torch.no_grad():
            seen = (self.pair.pictures.seen(each)[0] for each in views(self.clip.frames.float() / 255))
            object.__setattr__(self, "before", tuple(seen))

    def __call__(self, x: Latents, sigma: float, condition: Condition) -> Latents:
        """Of the sum over frames, through decoder and network; nothing is computed where the scale is 0 in all."""
        frames = condition.frames
        assert frames is not None, "the inputs number their frames"
        picks = (frames - self.clip.first).cpu()
        scales = self.scale.at(frames) if isinstance(self.scale, Curve) else torch.full((len(picks),), self.scale)
        if not scales.any():
            return torch.zeros_like(x)
        with torch.enable_grad():
            given = x.detach().requires_grad_(True)
            [clean] = self.backbone.denoise_branches(given, sigma, condition, [Branch(condition.cond, temporal=False)])
            shown = (self.backbone.decode_pixels(clean) + 1) / 2
            seen = [self.pair.pictures.seen(each)[0] for each in views(self._composited(shown, picks))]
            off = torch.stack(
                [self.words.off(one[picks].to(after), after) for one, after in zip(self.before, seen, strict=True)]
            )
            return gradient_of((scales.to(off) * off.mean(0)).sum(), given)

    def _composited(self, shown: Maps, picks: Tensor) -> Maps:
        """The source where it is not edited, so that no gradient comes from there."""
        if self.mask is None:
            return shown
        source = self.clip.frames[picks].to(shown) / 255
        return torch.lerp(source, shown, self.mask[picks].to(shown))


def views(pictures: Maps) -> list[Float[Tensor, "t c _ _"]]:
    """Each picture whole, and four corners of VIEWED of its sides: what fools the pair in one does so less in all."""
    rows, columns = pictures.shape[-2:]
    height, width = (max(1, round(VIEWED * side)) for side in (rows, columns))
    corners = [(top, left) for top in (0, rows - height) for left in (0, columns - width)]
    return [pictures, *(pictures[..., top : top + height, left : left + width] for top, left in corners)]


def clip_guided(inputs: DenoiseInputs, resolved: ResolvedEdit, model: Model) -> DenoiseInputs:
    """The inputs with a sampler that moves latents so, where the request asks for it.

    Raises RequestError for a method that cannot, a model whose frames share latents, and content other than one prompt;
    WeightsError for a CLIP pair that is not there.
    """
    request, scale = resolved.request, resolved.curves.get(GUIDED, resolved.request.clip_guidance)
    if not isinstance(scale, Curve) and not scale:
        return inputs
    _check(resolved, model)
    pair = _pair(request.clip_pair, model)
    own = request.source_prompt[0][0] if request.source_prompt else None
    words = WordDirection.of(pair, request.words[0][0], own)
    clip, mask = inputs.clip, None
    if resolved.mask is not None:
        mask = resolved.mask.at(clip.size, clip.first, len(clip))
    gradient = ClipGradient(model.backbone, clip, mask, pair, words, scale)
    size = min(inputs.window, model.backbone.max_frames)
    top = model.backbone.sigmas(inputs.steps)[0]
    moved = LatentGuidance(inputs.sampler, windowed(gradient, size, size // 2), 1.0, 1, (0.0, top))
    return replace(inputs, sampler=moved)


def _pair(name: str | None, model: Model) -> ClipPair:
    try:
        return ClipPair.opened(name or model.name, model.device)
    except WeightsError as fault:
        if name is not None:
            raise
        wrong = f"{model.name} has no CLIP pair for clip_guidance ({fault})"
        raise WeightsError(f"{wrong}; name one, as in --clip-pair pocket") from None


def _check(resolved: ResolvedEdit, model: Model) -> None:
    request = resolved.request
    if GUIDED not in METHODS[request.method].over_time:
        able = ", ".join(name for name, method in METHODS.items() if GUIDED in method.over_time)
        raise RequestError(f"{request.method} is not guided by a CLIP pair; leave clip_guidance out, or take {able}")
    if len(request.words) != 1:
        raise RequestError(
            f"clip_guidance is towards one prompt, and there are {len(request.words)}; say one -p, without a schedule"
        )
    if model.backbone.temporal_stride != 1:
        raise RequestError(f"clip_guidance is of single frames, and frames of {model.name} share latents; leave it out")
