"""Public weights by name: which files of which repositories make up a model folder, and under which licence."""

from typing import Any

from recast.model.beside_specs import BESIDE_SPECS
from recast.model.image_variations_specs import IMAGE_VARIATIONS_SPECS
from recast.model.spec_parts import NON_COMMERCIAL, RAIL, ModelSpec, SpecFile, SpecPart, network_files
from recast.model.stable_diffusion_parts import (
    CLIP_PIXELS,
    CONTROL_PARTS,
    CONTROLS,
    IP_ADAPTER,
    LIGHTNING,
    LINEAR,
    MOTION,
    MOTION_SHAPE,
    NETWORKS,
    SD15,
    SECOND,
    TOKENIZER,
    TRAILING,
    scheduler,
)
from recast.model.video_specs import DEPTH, VIDEO_SPECS

_GEN1_ZERO = (
    SpecPart(SD15, RAIL, (*NETWORKS, *TOKENIZER, scheduler("image_scheduler"))),
    MOTION,
    CONTROL_PARTS[0],
    DEPTH,
)
_OF_ANIMATEDIFF: dict[str, Any] = {"cfg_scale": 7.5, "window": 16, "frames": 16, "family": "animatediff"}
_OF_MODELSCOPE: dict[str, Any] = {"cfg_scale": 9.0, "fps": 8, "method": "flowedit", "structures": []}
_WHOLE = (*NETWORKS, *TOKENIZER, scheduler())
_LINEAR = {"scheduler/scheduler_config.json": LINEAR}


SPECS: dict[str, ModelSpec] = {
    "gen1-zero": ModelSpec(
        "Gen-1's equation 8 without training: SD 1.5, motion modules, a depth ControlNet",
        "AnimateDiffControlNetPipeline",
        3.8,
        _GEN1_ZERO,
        _OF_ANIMATEDIFF,
        _LINEAR,
    ),
    "gen1-zero-pictures": ModelSpec(
        "gen1-zero with an IP-Adapter, by which pictures are content too",
        "AnimateDiffControlNetPipeline",
        6.4,
        (*_GEN1_ZERO, IP_ADAPTER),
        _OF_ANIMATEDIFF,
        _LINEAR | {"feature_extractor/preprocessor_config.json": CLIP_PIXELS},
    ),
    "gen1-zero-lcm": ModelSpec(
        "gen1-zero in 4 to 8 steps, by AnimateLCM's motion modules; take its LoRA as --adapter",
        "AnimateDiffControlNetPipeline",
        3.8,
        (_GEN1_ZERO[0], SpecPart(("wangfuyun/AnimateLCM",), "MIT", network_files("motion_adapter")), *_GEN1_ZERO[2:]),
        _OF_ANIMATEDIFF | {"cfg_scale": 1.5, "steps": 6},
        {"scheduler/scheduler_config.json": LINEAR | {"_class_name": "LCMScheduler", "set_alpha_to_one": True}},
    ),
    "gen1-zero-lightning": ModelSpec(
        "gen1-zero in 4 steps without guidance, by AnimateDiff-Lightning's motion modules",
        "AnimateDiffControlNetPipeline",
        3.8,
        (_GEN1_ZERO[0], LIGHTNING, *_GEN1_ZERO[2:]),
        _OF_ANIMATEDIFF | {"cfg_scale": 1.0, "steps": 4},
        {"scheduler/scheduler_config.json": TRAILING, "motion_adapter/config.json": MOTION_SHAPE},
    ),
    "gen1-zero-control": ModelSpec(
        "gen1-zero with ControlNets of five structures: depth, edges, lineart, hed, pose",
        "AnimateDiffControlNetPipeline",
        6.7,
        (_GEN1_ZERO[0], MOTION, *CONTROL_PARTS, DEPTH),
        _OF_ANIMATEDIFF | {"structures": list(CONTROLS)},
        _LINEAR,
    ),
    **IMAGE_VARIATIONS_SPECS,
    "animatediff": ModelSpec(
        "SD 1.5 with motion modules, without structure",
        "AnimateDiffPipeline",
        3.0,
        (_GEN1_ZERO[0], MOTION),
        _OF_ANIMATEDIFF,
        _LINEAR,
    ),
    "sd15": ModelSpec(
        "Stable Diffusion 1.5, an image model for the editors that bring consistency by hooks",
        "StableDiffusionPipeline",
        2.1,
        (SpecPart(SD15, RAIL, _WHOLE),),
        {"cfg_scale": 7.5},
    ),
    "sd15-control": ModelSpec(
        "Stable Diffusion 1.5 with ControlNets of five structures: depth, edges, lineart, hed, pose",
        "StableDiffusionControlNetPipeline",
        5.9,
        (SpecPart(SD15, RAIL, _WHOLE), *CONTROL_PARTS, DEPTH),
        {"cfg_scale": 7.5, "structures": list(CONTROLS)},
    ),
    "sdxl": ModelSpec(
        "Stable Diffusion XL, an image model of 1024 px for the editors that bring consistency by hooks",
        "StableDiffusionXLPipeline",
        6.9,
        (
            SpecPart(
                ("stabilityai/stable-diffusion-xl-base-1.0",),
                "CreativeML Open RAIL++-M",
                (*NETWORKS, *SECOND, *TOKENIZER, scheduler()),
            ),
        ),
        {"short_side": 1024, "cfg_scale": 7.5},
    ),
    "sd2-depth": ModelSpec(
        "Stable Diffusion 2 with depth as a fifth channel",
        "StableDiffusionDepth2ImgPipeline",
        3.1,
        (
            SpecPart(
                ("sd2-community/stable-diffusion-2-depth", "stabilityai/stable-diffusion-2-depth"),
                "CreativeML Open RAIL++-M",
                (
                    *NETWORKS,
                    *TOKENIZER,
                    scheduler(),
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
        "ModelScope text to video, 1.7B, of 256 px, for clips from words and for flowedit and its kin",
        "TextToVideoSDPipeline",
        3.7,
        (SpecPart(("ali-vilab/text-to-video-ms-1.7b", "damo-vilab/text-to-video-ms-1.7b"), NON_COMMERCIAL, _WHOLE),),
        _OF_MODELSCOPE | {"short_side": 256, "frames": 16},
    ),
    "zeroscope": ModelSpec(
        "ZeroScope v2, ModelScope's network trained on at 576x320 without watermarks",
        "TextToVideoSDPipeline",
        7.4,
        (SpecPart(("cerspense/zeroscope_v2_576w",), NON_COMMERCIAL, _WHOLE, "refs/pr/46"),),
        _OF_MODELSCOPE | {"short_side": 320, "frames": 24},
    ),
    **BESIDE_SPECS,
    **VIDEO_SPECS,
}
"""Every model that `recast models pull` knows. None of their weights was at hand where this table was written."""
