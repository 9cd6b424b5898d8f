"""Parts of models on Stable Diffusion's layouts: networks, tokenizers, motion modules, ControlNets, IP-Adapters."""

from recast.model.spec_parts import APACHE, RAIL, SpecFile, SpecPart, network_files

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
TRAILING = LINEAR | {
    "_class_name": "EulerDiscreteScheduler",
    "timestep_spacing": "trailing",
    "set_alpha_to_one": True,  # Euler's last level is 0, whatever DDIM's was
}
"""The levels that AnimateDiff-Lightning was distilled for."""
CLIP_PIXELS = {
    "image_processor_type": "CLIPImageProcessor",
    "crop_size": 224,
    "size": {"shortest_edge": 224},
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
"""How CLIP's image encoders see a picture; the repository of IP-Adapter has no file of it."""


CLIP_FILES = ("merges.txt", "special_tokens_map.json", "tokenizer_config.json", "vocab.json")
TOKENIZER = tuple(SpecFile("tokenizer", (f"tokenizer/{name}",)) for name in CLIP_FILES)
NETWORKS = (
    *network_files("unet", "unet"),
    *network_files("vae", "vae"),
    *network_files("text_encoder", "text_encoder", "model"),
)
SECOND = (
    *network_files("text_encoder_2", "text_encoder_2", "model"),
    *(
        SpecFile("tokenizer_2", tuple(name.replace("tokenizer/", "tokenizer_2/") for name in file.names))
        for file in TOKENIZER
    ),
)
"""XL's second text encoder."""


def scheduler(into: str = "scheduler") -> SpecFile:
    """The scheduler of a repository, into a component of that name."""
    return SpecFile(into, ("scheduler/scheduler_config.json",))


SD15 = ("stable-diffusion-v1-5/stable-diffusion-v1-5", "sd-legacy/stable-diffusion-v1-5")
MOTION = SpecPart(
    ("guoyww/animatediff-motion-adapter-v1-5-3", "guoyww/animatediff-motion-adapter-v1-5-2"),
    APACHE,
    network_files("motion_adapter"),
)
LIGHTNING = SpecPart(
    ("ByteDance/AnimateDiff-Lightning",),
    RAIL,
    (
        SpecFile(
            "motion_adapter",
            ("animatediff_lightning_4step_diffusers.safetensors",),
            "diffusion_pytorch_model.safetensors",
        ),
    ),
)
MOTION_SHAPE = {"_class_name": "MotionAdapter", "block_out_channels": [320, 640, 1280, 1280]}
"""Of Lightning's modules, of which its repository has no file: the class's own, which is that of AnimateDiff v2."""
IP_ADAPTER = SpecPart(
    ("h94/IP-Adapter",),
    APACHE,
    (
        SpecFile("ip_adapter", ("models/ip-adapter_sd15.safetensors",), "model.safetensors"),
        SpecFile("image_encoder", ("models/image_encoder/config.json",)),
        SpecFile("image_encoder", ("models/image_encoder/model.safetensors",)),
    ),
)
CONTROLS = {
    "depth": "control_v11f1p_sd15_depth",
    "edges": "control_v11p_sd15_canny",
    "lineart": "control_v11p_sd15_lineart",
    "hed": "control_v11p_sd15_softedge",
    "pose": "control_v11p_sd15_openpose",
}
"""ControlNets 1.1 of Stable Diffusion 1.5, by the kind of structure that each was trained on."""
CONTROL_PARTS = tuple(
    SpecPart((f"lllyasviel/{name}",), "OpenRAIL", network_files(f"controlnet_{number}" if number else "controlnet"))
    for number, name in enumerate(CONTROLS.values())
)
