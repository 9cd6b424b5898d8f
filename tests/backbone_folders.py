"""Tiny folders of every family, each in a published layout: what contracts of backbones are tried on."""

from functools import partial

import numpy as np
import torch
from PIL import Image

from animatediff_folder import write_animatediff, write_gen1_zero
from cogvideox_folder import write_cogvideox
from image_variations_folder import write_gen1_clip, write_image_variations
from ip_adapter_folder import add_ip_adapter
from lavie_folder import write_lavie
from ltx2_folder import write_ltx2
from ltx_folder import write_ltx
from modelscope_folder import write_modelscope
from recast.backbones.tiny import write_stable_diffusion
from recast.backbones.video_control import VideoControl, VideoControlBackbone
from recast.conditions.content import ContentInput, Medium
from recast.types import Condition, Kind, Structure
from space_time_folder import WHAT, write_space_time
from svd_folder import write_svd
from tiny_folder import written
from videocrafter_folder import write_videocrafter
from wan_folder import write_wan
from xl_folder import write_xl

FOLDERS = {
    "animatediff": write_animatediff,
    "animatediff, depth": partial(write_animatediff, depth=True),
    "animatediff, gen1-zero": write_gen1_zero,
    "gen1": written,
    "image_variations": write_image_variations,
    "image_variations, gen1-clip": write_gen1_clip,
    "image_variations, words": partial(write_gen1_clip, words=True),
    "stable_diffusion": write_stable_diffusion,
    "stable_diffusion, ip-adapter": lambda path: add_ip_adapter(write_stable_diffusion(path)),
    "stable_diffusion, velocity": partial(write_stable_diffusion, prediction="v_prediction"),
    "stable_diffusion, picture": partial(write_stable_diffusion, picture=True),
    "stable_diffusion, depth": partial(write_stable_diffusion, depth=True),
    "stable_diffusion, xl": write_xl,
    "cogvideox": write_cogvideox,
    "cogvideox, 5b": partial(write_cogvideox, rotary=True),
    "cogvideox, picture": partial(write_cogvideox, picture=True),
    "ltx": write_ltx,
    "ltx, 2": write_ltx2,
    "lavie": lambda path: write_lavie(path / "model"),
    "modelscope": write_modelscope,
    "space_time": write_space_time,
    **{f"space_time, {what}": partial(write_space_time, what=what) for what in WHAT[1:]},
    "svd": write_svd,
    "videocrafter": lambda path: write_videocrafter(path / "model"),
    "wan": write_wan,
    "wan, bernini": partial(write_wan, bernini=True),
    "wan, lucy": partial(write_wan, lucy=True),
    "wan, vace": partial(write_wan, vace=True),
    "wan, two vace": partial(write_wan, vace=True, two=True),
}
"""What writes a folder, by family, and behind a comma what is special about it."""
MULTIPLES = {"wan": (16, 4), "ltx": (8, 4), "cogvideox": (16, 4)}
"""Sides are multiples of so many pixels, and so many frames share a latent; 8 and 1 elsewhere."""


def contents_of(backbone, path):
    """Two contents in a medium that the family reads. path: of a folder for pictures."""
    if Medium.WORDS in backbone.media:
        return [[ContentInput(Medium.WORDS, words)] for words in ("a red ball", "snow")]
    files = [path / f"{number}.png" for number in range(2)]
    for number, file in enumerate(files):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file)
    return [[ContentInput(Medium.PICTURE, str(file))] for file in files]


def conditioned(backbone, content):
    """A condition of three frames, with the structure or the control video that the family reads."""
    kind = Kind.DEPTH if Kind.DEPTH in backbone.structure_kinds else Kind.POSE
    maps = torch.rand(3, kind.channels, 32, 48, generator=torch.Generator().manual_seed(1))
    planes = backbone.structure_channels(Structure(kind, maps, detail=1)) if backbone.structure_kinds else None
    condition = Condition(backbone.encode_content(content), backbone.null_tokens(), planes)
    if planes is None and isinstance(backbone, VideoControlBackbone):
        clip = torch.randint(0, 256, (3, 3, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
        return backbone.with_control_video(condition, VideoControl(clip), 4)
    return condition
