"""Gen-1's content, a CLIP image embedding, over public weights by name: Stable Diffusion image variations and Karlo."""

from recast.model.spec_parts import RAIL, ModelSpec, SpecFile, SpecPart, network_files
from recast.model.stable_diffusion_parts import CONTROL_PARTS, LINEAR, MOTION, SD15, TOKENIZER, scheduler
from recast.model.video_specs import DEPTH

_UNET = SpecPart(
    ("lambdalabs/sd-image-variations-diffusers", "lambda/sd-image-variations-diffusers"),
    RAIL,
    (*network_files("unet", "unet"), scheduler("image_scheduler")),
)
_CLIP = SpecPart(
    ("openai/clip-vit-large-patch14",),
    "MIT",
    (
        SpecFile("image_encoder", ("config.json",)),
        SpecFile("image_encoder", ("model.safetensors",)),
        SpecFile("feature_extractor", ("preprocessor_config.json",)),
    ),
)
"""CLIP ViT-L/14, the image encoder of training; the text encoder in the same file is passed over."""
_VAE = network_files("vae", "vae")
_TEXT = (*network_files("text_encoder", "text_encoder", "model"), *TOKENIZER)
_KARLO = SpecPart(
    ("kakaobrain/karlo-v1-alpha",),
    RAIL,
    (
        *network_files("prior", "prior"),
        SpecFile("prior_scheduler", ("prior_scheduler/scheduler_config.json",)),
        *_TEXT,
    ),
)
_PICKLES = "the UNet was seen as a pickle alone, which a pull refuses; docs/models/gen1-clip.md says what to do then"
_BESIDES = (MOTION, CONTROL_PARTS[0], DEPTH)


def _spec(about: str, gigabytes: float, *parts: SpecPart) -> ModelSpec:
    metadata = {"cfg_scale": 3.0, "window": 16, "frames": 16}
    written = {"scheduler/scheduler_config.json": LINEAR}
    whole = (_UNET, _CLIP, *parts, *_BESIDES)
    name = "StableDiffusionImageVariationPipeline"
    return ModelSpec(about, name, gigabytes, whole, metadata, written, note=_PICKLES)


IMAGE_VARIATIONS_SPECS: dict[str, ModelSpec] = {
    "gen1-clip": _spec(
        "Gen-1's content and equation 8 without training: image variations, motion modules, depth",
        7.3,
        SpecPart(SD15, RAIL, (*_VAE, *_TEXT)),
    ),
    "gen1-clip-words": _spec(
        "gen1-clip with Karlo's prior, which makes an image embedding of words",
        11.6,
        SpecPart(SD15, RAIL, _VAE),
        _KARLO,
    ),
}
"""Whether each repository has these files as safetensors, a pull finds out; see docs/models.md."""
