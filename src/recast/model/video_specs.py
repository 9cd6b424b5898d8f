"""Transformers of video, and Stable Video Diffusion, by name."""

from recast.model.spec_parts import APACHE, ModelSpec, SpecFile, SpecPart, network_files

DEPTH = SpecPart(
    ("depth-anything/Depth-Anything-V2-Small-hf",),
    APACHE,
    (
        SpecFile("depth_estimator", ("config.json",)),
        SpecFile("depth_estimator", ("preprocessor_config.json",)),
        SpecFile("depth_estimator", ("model.safetensors",)),
    ),
)
"""Depth Anything V2, small: the size of it that may be used freely."""


def _shards(into: str, stem: str = "diffusion_pytorch_model") -> tuple[SpecFile, ...]:
    """A network's configuration, its weights in as many files as there are, and the list of these."""
    return SpecFile(into, (f"{into}/config.json",)), SpecFile(into, (f"{into}/{stem}*.safetensors*",))


_SCHEDULER = SpecFile("scheduler", ("scheduler/scheduler_config.json",))
_NETWORKS = (*_shards("transformer"), *_shards("text_encoder", "model"), *_shards("vae"))
_FAST_TOKENIZER = tuple(
    SpecFile("tokenizer", (f"tokenizer/{name}",)) for name in ("tokenizer.json", "tokenizer_config.json")
)
_WHOLE = (*_NETWORKS, *_FAST_TOKENIZER, _SCHEDULER)
_T5_TOKENIZER = SpecPart(
    ("google-t5/t5-base", "google-t5/t5-small"),
    APACHE,
    tuple(SpecFile("tokenizer", (name,)) for name in ("tokenizer.json", "tokenizer_config.json")),
)
"""T5's vocabulary is the same for all sizes; the repository of LTX-Video has it in a form that needs sentencepiece."""
_OF_WAN = {"short_side": 480, "window": 81, "frames": 81, "fps": 16, "cfg_scale": 5.0, "steps": 50}

_STABILITY = "Stable Video Diffusion Community License (no commercial use without a licence of Stability AI's)"


def _svd(repo: str, frames: int) -> ModelSpec:
    files = (
        *network_files("unet", "unet"),
        *network_files("vae", "vae"),
        *network_files("image_encoder", "image_encoder", "model"),
        SpecFile("feature_extractor", ("feature_extractor/preprocessor_config.json",)),
        _SCHEDULER,
    )
    return ModelSpec(
        f"Stable Video Diffusion, 1.5B: {frames} frames of 1024x576 from the picture that they start with; pictures",
        "StableVideoDiffusionPipeline",
        4.5,
        (SpecPart((f"stabilityai/{repo}",), _STABILITY, files),),
        {"short_side": 576, "frames": frames, "fps": 7, "cfg_scale": 3.0, "method": "flowedit", "structures": []}
        | {"method_defaults": {"text-to-video": {"first_cfg": 1.0}}},
    )


VIDEO_SPECS: dict[str, ModelSpec] = {
    "svd": _svd("stable-video-diffusion-img2vid", 14),
    "svd-xt": _svd("stable-video-diffusion-img2vid-xt", 25),
    "wan-1.3b": ModelSpec(
        "Wan 2.1 text to video, 1.3B, for flowedit and its kin; words",
        "WanPipeline",
        29.0,
        (SpecPart(("Wan-AI/Wan2.1-T2V-1.3B-Diffusers",), APACHE, _WHOLE),),
        _OF_WAN | {"method": "flowedit", "structures": []},
    ),
    "wan-vace-1.3b": ModelSpec(
        "VACE 1.3B: Wan 2.1 by depth at any t_s, masks and pictures; words, pictures",
        "WanVACEPipeline",
        32.0,
        (SpecPart(("Wan-AI/Wan2.1-VACE-1.3B-diffusers",), APACHE, _WHOLE), DEPTH),
        _OF_WAN | {"structures": ["depth", "edges"]},
    ),
    "lucy-edit": ModelSpec(
        "Lucy-Edit, 5B: reads the clip and an instruction, such as make it snow; words",
        "LucyEditPipeline",
        34.0,
        (SpecPart(("decart-ai/Lucy-Edit-Dev",), "LUCY Edit Dev Model Non-Commercial License", _WHOLE),),
        _OF_WAN | {"fps": 24, "structures": []},
    ),
    "ltx-0.9": ModelSpec(
        "LTX-Video 0.9, 2B, for flowedit and its kin, fast; words",
        "LTXPipeline",
        28.0,
        (
            SpecPart(("Lightricks/LTX-Video",), "LTX-Video Open Weights (OpenRAIL-M)", (*_NETWORKS, _SCHEDULER)),
            _T5_TOKENIZER,
        ),
        {
            "short_side": 512,
            "window": 121,
            "frames": 121,
            "fps": 25,
            "cfg_scale": 3.0,
            "steps": 50,
            "method": "flowedit",
            "structures": [],
        },
    ),
}
"""Models of flow matching over compressed time."""
