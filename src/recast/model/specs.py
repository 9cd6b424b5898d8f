"""Public weights by name: which files of which repositories make up a model folder, and under which licence."""

from typing import Any

from recast.model.beside_specs import BESIDE_SPECS, CLIP_FILES
from recast.model.spec_parts import (
    APACHE,
    NON_COMMERCIAL,
    RAIL,
    ModelSpec,
    SpecFile,
    SpecPart,
    network_files,
)
from recast.model.video_specs import DEPTH, VIDEO_SPECS

LINEAR = {
    "_class_name": "DDIMScheduler",
    "beta_schedule": "linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
"""The levels that AnimateDiff's motion modules were trained on, as its published configuration has them."""
CLIP_PIXELS = {
    "image_processor_type": "CLIPImageProcessor",
    "crop_size": 224,
    "size": {"shortest_edge": 224},
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
"""How CLIP's image encoders see a picture; the repository of IP-Adapter has no file of it."""


_TOKENIZER = tuple(SpecFile("tokenizer", (f"tokenizer/{name}",)) for name in CLIP_FILES)
_NETWORKS = (
    *network_files("unet", "unet"),
    *network_files("vae", "vae"),
    *network_files("text_encoder", "text_encoder", "model"),
)
_SECOND = (
    *network_files("text_encoder_2", "text_encoder_2", "model"),
    *(
        SpecFile("tokenizer_2", tuple(name.replace("tokenizer/", "tokenizer_2/") for name in file.names))
        for file in _TOKENIZER
    ),
)
"""XL's second text encoder."""


def _scheduler(into: str = "scheduler") -> SpecFile:
    return SpecFile(into, ("scheduler/scheduler_config.json",))


_SD15 = ("stable-diffusion-v1-5/stable-diffusion-v1-5", "sd-legacy/stable-diffusion-v1-5")
_MOTION = SpecPart(
    ("guoyww/animatediff-motion-adapter-v1-5-3", "guoyww/animatediff-motion-adapter-v1-5-2"),
    APACHE,
    network_files("motion_adapter"),
)
_IP_ADAPTER = SpecPart(
    ("h94/IP-Adapter",),
    APACHE,
    (
        SpecFile("ip_adapter", ("models/ip-adapter_sd15.safetensors",), "model.safetensors"),
        SpecFile("image_encoder", ("models/image_encoder/config.json",)),
        SpecFile("image_encoder", ("models/image_encoder/model.safetensors",)),
    ),
)
_CONTROLS = {
    "depth": "control_v11f1p_sd15_depth",
    "edges": "control_v11p_sd15_canny",
    "lineart": "control_v11p_sd15_lineart",
    "hed": "control_v11p_sd15_softedge",
    "pose": "control_v11p_sd15_openpose",
}
"""ControlNets 1.1 of Stable Diffusion 1.5, by the kind of structure that each was trained on."""
_CONTROL_PARTS = tuple(
    SpecPart((f"lllyasviel/{name}",), "OpenRAIL", network_files(f"controlnet_{number}" if number else "controlnet"))
    for number, name in enumerate(_CONTROLS.values())
)
_GEN1_ZERO = (
    SpecPart(_SD15, RAIL, (*_NETWORKS, *_TOKENIZER, _scheduler("image_scheduler"))),
    _MOTION,
    _CONTROL_PARTS[0],
    DEPTH,
)
_OF_ANIMATEDIFF: dict[str, Any] = {"cfg_scale": 7.5, "window": 16, "frames": 16, "family": "animatediff"}
_OF_MODELSCOPE: dict[str, Any] = {"cfg_scale": 9.0, "fps": 8, "method": "flowedit", "structures": []}
_WHOLE = (*_NETWORKS, *_TOKENIZER, _scheduler())
_LINEAR = {"scheduler/scheduler_config.json": LINEAR}


SPECS: dict[str, ModelSpec] = {
    "gen1-zero": ModelSpec(
        "Gen-1's equation 8 without training: SD 1.5, motion modules, a depth ControlNet; words",
        "AnimateDiffControlNetPipeline",
        3.8,
        _GEN1_ZERO,
        _OF_ANIMATEDIFF,
        _LINEAR,
    ),
    "gen1-zero-pictures": ModelSpec(
        "The same with an IP-Adapter: words and pictures",
        "AnimateDiffControlNetPipeline",
        6.4,
        (*_GEN1_ZERO, _IP_ADAPTER),
        _OF_ANIMATEDIFF,
        _LINEAR | {"feature_extractor/preprocessor_config.json": CLIP_PIXELS},
    ),
    "gen1-zero-lcm": ModelSpec(
        "gen1-zero in 4 to 8 steps, by AnimateLCM's motion modules; words; take its LoRA as --adapter",
        "AnimateDiffControlNetPipeline",
        3.8,
        (_GEN1_ZERO[0], SpecPart(("wangfuyun/AnimateLCM",), "MIT", network_files("motion_adapter")), *_GEN1_ZERO[2:]),
        _OF_ANIMATEDIFF | {"cfg_scale": 1.5, "steps": 6},
        {"scheduler/scheduler_config.json": LINEAR | {"_class_name": "LCMScheduler", "set_alpha_to_one": True}},
    ),
    "gen1-zero-control": ModelSpec(
        "gen1-zero with ControlNets of five structures: depth, edges, lineart, hed, pose; words",
        "AnimateDiffControlNetPipeline",
        6.7,
        (_GEN1_ZERO[0], _MOTION, *_CONTROL_PARTS, DEPTH),
        _OF_ANIMATEDIFF | {"structures": list(_CONTROLS)},
        _LINEAR,
    ),
    "animatediff": ModelSpec(
        "SD 1.5 with motion modules, without structure; words",
        "AnimateDiffPipeline",
        3.0,
        (_GEN1_ZERO[0], _MOTION),
        _OF_ANIMATEDIFF,
        _LINEAR,
    ),
    "sd15": ModelSpec(
        "Stable Diffusion 1.5, an image model for the editors that bring consistency by hooks; words",
        "StableDiffusionPipeline",
        2.1,
        (SpecPart(_SD15, RAIL, _WHOLE),),
        {"cfg_scale": 7.5},
    ),
    "sd15-control": ModelSpec(
        "Stable Diffusion 1.5 with ControlNets of five structures: depth, edges, lineart, hed, pose; words",
        "StableDiffusionControlNetPipeline",
        5.9,
        (SpecPart(_SD15, RAIL, _WHOLE), *_CONTROL_PARTS, DEPTH),
        {"cfg_scale": 7.5, "structures": list(_CONTROLS)},
    ),
    "sdxl": ModelSpec(
        "Stable Diffusion XL, an image model of 1024 px for the editors that bring consistency by hooks; words",
        "StableDiffusionXLPipeline",
        6.9,
        (
            SpecPart(
                ("stabilityai/stable-diffusion-xl-base-1.0",),
                "CreativeML Open RAIL++-M",
                (*_NETWORKS, *_SECOND, *_TOKENIZER, _scheduler()),
            ),
        ),
        {"short_side": 1024, "cfg_scale": 7.5},
    ),
    "sd2-depth": ModelSpec(
        "Stable Diffusion 2 with depth as a fifth channel; words",
        "StableDiffusionDepth2ImgPipeline",
        3.1,
        (
            SpecPart(
                ("sd2-community/stable-diffusion-2-depth", "stabilityai/stable-diffusion-2-depth"),
                "CreativeML Open RAIL++-M",
                (
                    *_NETWORKS,
                    *_TOKENIZER,
                    _scheduler(),
                    *network_files("depth_estimator", "depth_estimator", "model"),
                    SpecFile("feature_extractor", ("feature_extractor/preprocessor_config.json",)),
                ),
            ),
        ),
        {"cfg_scale": 7.5},
    ),
    "instruct-pix2pix": ModelSpec(
        "An image model that follows instructions, such as make it snow; for --method instruct-pix2pix",
        "StableDiffusionInstructPix2PixPipeline",
        4.3,
        (SpecPart(("timbrooks/instruct-pix2pix",), "MIT", _WHOLE),),
        {"cfg_scale": 7.5, "method": "instruct-pix2pix"},
    ),
    "modelscope": ModelSpec(
        "ModelScope text to video, 1.7B, of 256 px, for clips from words and for flowedit and its kin; words",
        "TextToVideoSDPipeline",
        3.7,
        (SpecPart(("ali-vilab/text-to-video-ms-1.7b", "damo-vilab/text-to-video-ms-1.7b"), NON_COMMERCIAL, _WHOLE),),
        _OF_MODELSCOPE | {"short_side": 256, "frames": 16},
    ),
    "zeroscope": ModelSpec(
        "ZeroScope v2, ModelScope's network trained on at 576x320 without watermarks; words",
        "TextToVideoSDPipeline",
        7.4,
        (SpecPart(("cerspense/zeroscope_v2_576w",), NON_COMMERCIAL, _WHOLE, "refs/pr/46"),),
        _OF_MODELSCOPE | {"short_side": 320, "frames": 24},
    ),
    **BESIDE_SPECS,
    **VIDEO_SPECS,
}
"""Every model that `recast models pull` knows. None of their weights was at hand where this table was written."""
