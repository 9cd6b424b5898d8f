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
_TWO = (*_shards("transformer_2"), *_WHOLE)
"""With a second network, for little noise."""
_BOUNDARY = {"boundary_ratio": 0.875}
"""The share of timesteps from which Wan 2.2's first network has the levels."""
_FLOW = {
    "_class_name": "UniPCMultistepScheduler",
    "prediction_type": "flow_prediction",
    "use_flow_sigmas": True,
    "num_train_timesteps": 1000,
    "flow_shift": 5.0,
}
"""Levels by which Bernini's published recipes walk; its repository has no file of them."""
_VACE_FUN = ("linoyts/Wan2.2-VACE-Fun-14B-diffusers", "Pyros13/Wan2.2-VACE-Fun-A14B-Diffusers")
"""In diffusers' layout, of alibaba-pai/Wan2.2-VACE-Fun-A14B, which has another."""
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
        f"Stable Video Diffusion, 1.5B: {frames} frames of 1024x576 from the picture that they start with",
        "StableVideoDiffusionPipeline",
        4.5,
        (SpecPart((f"stabilityai/{repo}",), _STABILITY, files),),
        {"short_side": 576, "frames": frames, "fps": 7, "cfg_scale": 3.0, "method": "flowedit", "structures": []}
        | {"method_defaults": {"text-to-video": {"first_cfg": 1.0}}},
    )


def _wan(about: str, repo: str, gigabytes: float, *, two: bool = False) -> ModelSpec:
    return ModelSpec(
        f"{about}, for flowedit and its kin",
        "WanPipeline",
        gigabytes,
        (SpecPart((repo,), APACHE, _TWO if two else _WHOLE),),
        _OF_WAN | {"method": "flowedit", "structures": []},
        index=_BOUNDARY if two else {},
    )


def _vace(about: str, repos: tuple[str, ...], gigabytes: float, *, two: bool = False) -> ModelSpec:
    return ModelSpec(
        f"{about} by depth at any t_s, poses, masks and pictures",
        "WanVACEPipeline",
        gigabytes,
        (SpecPart(repos, APACHE, _TWO if two else _WHOLE), DEPTH),
        _OF_WAN | {"structures": ["depth", "edges", "pose"]},
        index=_BOUNDARY if two else {},
    )


_COGVIDEOX = "CogVideoX LICENSE (commercial use after registering with its authors)"


def _cogvideox(about: str, size: str, gigabytes: float, licence: str, *, picture: bool = False) -> ModelSpec:
    # Not seen, neither files nor licences: ids, classes and layout as diffusers' own documentation of the classes names
    # them. The repositories moved from THUDM to zai-org. Sizes are counted from the networks, at two bytes a weight.
    repos = tuple(f"{owner}/CogVideoX-{size}" for owner in ("zai-org", "THUDM"))
    return ModelSpec(
        f"CogVideoX {about}, 49 frames of 720x480",
        "CogVideoXImageToVideoPipeline" if picture else "CogVideoXPipeline",
        gigabytes,
        (SpecPart(repos, licence, (*_NETWORKS, _SCHEDULER)), _T5_TOKENIZER),
        {"short_side": 480, "aspect": 1.5, "window": 49, "frames": 49, "fps": 8, "cfg_scale": 6.0, "steps": 50}
        | {"method": "flowedit", "structures": []},
    )


VIDEO_SPECS: dict[str, ModelSpec] = {
    "svd": _svd("stable-video-diffusion-img2vid", 14),
    "svd-xt": _svd("stable-video-diffusion-img2vid-xt", 25),
    "cogvideox-2b": _cogvideox("2B", "2b", 14.0, APACHE),
    "cogvideox-5b": _cogvideox("5B", "5b", 21.0, _COGVIDEOX),
    "cogvideox-5b-i2v": _cogvideox("5B from words and a picture", "5b-I2V", 21.0, _COGVIDEOX, picture=True),
    "wan-1.3b": _wan("Wan 2.1 text to video, 1.3B", "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", 29.0),
    "wan-14b": _wan("Wan 2.1 text to video, 14B", "Wan-AI/Wan2.1-T2V-14B-Diffusers", 80.0),
    "wan2.2-14b": _wan("Wan 2.2 text to video, 14B twice", "Wan-AI/Wan2.2-T2V-A14B-Diffusers", 126.0, two=True),
    "wan-vace-1.3b": _vace("VACE 1.3B: Wan 2.1", ("Wan-AI/Wan2.1-VACE-1.3B-diffusers",), 32.0),
    "wan-vace-14b": _vace("VACE 14B: Wan 2.1", ("Wan-AI/Wan2.1-VACE-14B-diffusers",), 82.0),
    "wan2.2-vace-14b": _vace("VACE Fun, 14B twice: Wan 2.2", _VACE_FUN, 82.0, two=True),
    "bernini-1.3b": ModelSpec(
        "Bernini's renderer, 1.3B: reads the clip and an instruction, such as make it snow",
        "BerniniRendererPipeline",
        29.0,
        (SpecPart(("ByteDance/Bernini-R-1.3B-Diffusers",), APACHE, (*_NETWORKS, *_FAST_TOKENIZER)),),
        _OF_WAN | {"cfg_scale": 4.0, "steps": 40, "structures": []},
        {"scheduler/scheduler_config.json": _FLOW},
    ),
    "lucy-edit": ModelSpec(
        "Lucy-Edit, 5B: reads the clip and an instruction, such as make it snow",
        "LucyEditPipeline",
        34.0,
        (SpecPart(("decart-ai/Lucy-Edit-Dev",), "LUCY Edit Dev Model Non-Commercial License", _WHOLE),),
        _OF_WAN | {"fps": 24, "structures": []},
    ),
    "ltx-2": ModelSpec(
        "LTX-2's pictures, 19B, without its sound, for flowedit and its kin",
        "LTX2Pipeline",
        67.0,
        (SpecPart(("Lightricks/LTX-2",), "LTX-2 Community License", (*_shards("connectors"), *_WHOLE)),),
        {"short_side": 512, "window": 121, "frames": 121, "fps": 24, "cfg_scale": 4.0, "steps": 40}
        | {"method": "flowedit", "structures": []},
    ),
    "ltx-0.9": ModelSpec(
        "LTX-Video 0.9, 2B, for flowedit and its kin, fast",
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
"""Transformers of video and what stands beside them."""
