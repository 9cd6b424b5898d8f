"""Tiny folders of the networks that recast trains for systems of the field, as their trainings write them."""

import json
from shutil import copytree, rmtree

import torch

from recast.backbones.tiny import roughen, tiny_unet, write_stable_diffusion
from recast.networks import storage
from recast.networks.appearance import appearance_branch
from recast.networks.condition_encoder import ConditionEncoder
from recast.networks.conditioned import APPEARANCE, ENCODER, POSES, ConditionedVideo
from recast.networks.pose_encoder import PoseEncoder
from recast.networks.spacetime import SpaceTimeUNet
from recast.recipes.systems import export
from tiny_folder import WIDTH, written

KINDS = {"depth": 1, "edges": 1, "motion": 3}
WHAT = ("words", "depth", "causal", "clip", "composed", "edited frame", "poses")


def space_time(what="words"):
    """A network of one of WHAT, as if it had been trained: no layer is still zero."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(5)
        channels = {"depth": 5, "causal": 5, "edited frame": 5, "clip": 8, "composed": 8}.get(what, 4)
        unet, parts = tiny_unet(channels), {}
        if what == "composed":
            sizes = {"width": 4, "max_frames": 16, "content_width": WIDTH, "token_width": 16, "tokens": 2}
            parts[ENCODER] = ConditionEncoder(KINDS, **sizes)
        elif what == "edited frame":
            parts[APPEARANCE] = appearance_branch(unet)
        elif what == "poses":
            parts[POSES] = PoseEncoder.of(unet)
        net = SpaceTimeUNet(unet, max_frames=16, causal=what == "causal")
        roughen(net)
        for part in parts.values():
            for weight in part.parameters():
                weight.add_(0.1 * torch.randn_like(weight))
        return ConditionedVideo(net, parts).eval()


def write_space_time(path, what="words"):
    """Writes the folder of one of WHAT and returns it."""
    write_stable_diffusion(path, prediction="v_prediction", depth=True)
    rmtree(path / "unet")
    network = space_time(what)
    storage.save(network.net, path)
    for name, part in network.parts.items():
        export.write_part(part, path / name)
    if what == "composed":
        gen1 = written(path / "gen1")
        for name in export.OF_PICTURES:
            rmtree(path / name, ignore_errors=True)
            copytree(gen1 / name, path / name)
        rmtree(gen1)
    kinds = {"composed": list(KINDS), "poses": ["pose"]}.get(what, ["depth"])
    method = {"method": "instruct-vid2vid"} if what == "clip" else {}
    facts = {"family": "space_time", "short_side": 32, "frames": 8, "structures": kinds}
    (path / "recast.json").write_text(json.dumps(facts | method))
    (path / "model_index.json").write_text(json.dumps({"_class_name": "SpaceTime"}))
    return path
