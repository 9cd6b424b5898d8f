"""Tiny folders of every family, each in a published layout: what contracts of backbones are tried on."""

from functools import partial

from animatediff_folder import write_animatediff, write_gen1_zero
from ip_adapter_folder import add_ip_adapter
from ltx_folder import write_ltx
from modelscope_folder import write_modelscope
from recast.backbones.tiny import write_stable_diffusion
from tiny_folder import written
from wan_folder import write_wan
from xl_folder import write_xl

FOLDERS = {
    "animatediff": write_animatediff,
    "animatediff, depth": partial(write_animatediff, depth=True),
    "animatediff, gen1-zero": write_gen1_zero,
    "gen1": written,
    "stable_diffusion": write_stable_diffusion,
    "stable_diffusion, ip-adapter": lambda path: add_ip_adapter(write_stable_diffusion(path)),
    "stable_diffusion, velocity": partial(write_stable_diffusion, prediction="v_prediction"),
    "stable_diffusion, picture": partial(write_stable_diffusion, picture=True),
    "stable_diffusion, depth": partial(write_stable_diffusion, depth=True),
    "stable_diffusion, xl": write_xl,
    "ltx": write_ltx,
    "modelscope": write_modelscope,
    "wan": write_wan,
    "wan, lucy": partial(write_wan, lucy=True),
    "wan, vace": partial(write_wan, vace=True),
}
"""What writes a folder, by family, and behind a comma what is special about it."""
