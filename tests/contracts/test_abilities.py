"""What `recast models info` expects of a model before a pull is what its networks can do."""

import json
from functools import partial
from shutil import copytree

import pytest
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from animatediff_folder import tiny_controlnet, write_animatediff, write_gen1_zero
from cogvideox_folder import write_cogvideox
from image_variations_folder import write_gen1_clip
from ip_adapter_folder import add_ip_adapter
from ltx2_folder import write_ltx2
from ltx_folder import write_ltx
from modelscope_folder import write_modelscope
from pipelines import opened
from recast.backbones.abilities import ModelAbilities, abilities_of_spec
from recast.backbones.tiny import write_depth_estimator, write_stable_diffusion
from recast.cli.app import run
from recast.model.folder import ModelFolder, quiet
from recast.model.specs import SPECS
from recast.model.stable_diffusion_parts import CONTROLS
from svd_folder import write_svd
from transformer_costs import FAMILIES
from wan_folder import write_wan
from xl_folder import write_xl


def with_controls(write, path):
    """The folder with a ControlNet for each kind of structure that ControlNets 1.1 are published for."""
    write(path)
    with quiet():
        unet = UNet2DConditionModel.from_pretrained(path / "unet")
        tiny_controlnet(unet).save_pretrained(path / "controlnet")
    for number in range(1, len(CONTROLS)):
        copytree(path / "controlnet", path / f"controlnet_{number}")
    if not (path / "depth_estimator").exists():
        write_depth_estimator(path / "depth_estimator", path / "depth_estimator")
    return path


WRITERS = {
    "gen1-zero": write_gen1_zero,
    "gen1-zero-pictures": lambda path: add_ip_adapter(write_gen1_zero(path)),
    "gen1-zero-lcm": write_gen1_zero,
    "gen1-zero-lightning": write_gen1_zero,
    "gen1-zero-control": partial(with_controls, write_gen1_zero),
    "gen1-clip": write_gen1_clip,
    "gen1-clip-words": partial(write_gen1_clip, words=True),
    "animatediff": write_animatediff,
    "sd15": write_stable_diffusion,
    "sd15-control": partial(with_controls, write_stable_diffusion),
    "sdxl": write_xl,
    "sd2-depth": partial(write_stable_diffusion, depth=True),
    "instruct-pix2pix": partial(write_stable_diffusion, picture=True),
    "modelscope": write_modelscope,
    "zeroscope": write_modelscope,
    "cogvideox-2b": write_cogvideox,
    "cogvideox-5b": partial(write_cogvideox, rotary=True),
    "cogvideox-5b-i2v": partial(write_cogvideox, picture=True),
    "svd": write_svd,
    "svd-xt": write_svd,
    **dict.fromkeys(("wan-1.3b", "wan-14b"), write_wan),
    "wan2.2-14b": partial(write_wan, two=True),
    **dict.fromkeys(("wan-vace-1.3b", "wan-vace-14b"), partial(write_wan, vace=True)),
    "wan2.2-vace-14b": partial(write_wan, vace=True, two=True),
    "bernini-1.3b": partial(write_wan, bernini=True),
    "lucy-edit": partial(write_wan, lucy=True),
    "ltx-2": write_ltx2,
    "ltx-0.9": write_ltx,
}
"""A tiny folder of the layout of each model by name."""


def test_every_model_that_edits_is_tried():
    assert set(WRITERS) == {name for name, spec in SPECS.items() if spec.edits}


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_expected_is_what_a_folder_of_that_layout_can_do(name, tmp_path):
    """With the facts that a pull writes; tiny networks have sizes of their own."""
    spec, path = SPECS[name], WRITERS[name](tmp_path / "model")
    (path / "model_index.json").write_text(json.dumps({"_class_name": spec.pipeline} | spec.index))
    (path / "recast.json").write_text(json.dumps(spec.metadata))
    expected, found = abilities_of_spec(spec), ModelAbilities.of(opened(path), ModelFolder.found(path))
    sizes = {"sides", "frames at once", "frames a latent"}
    assert {key: fact for key, fact in expected.facts.items() if key not in sizes} == {
        key: fact for key, fact in found.facts.items() if key not in sizes
    }
    assert len(expected.facts) == 9


@pytest.mark.parametrize("name", FAMILIES)
def test_sizes_are_those_of_the_networks_at_real_size(name):
    backbone, expected = FAMILIES[name](), abilities_of_spec(SPECS[name])
    assert expected.max_frames == backbone.max_frames
    assert expected.temporal_stride == backbone.temporal_stride
    assert expected.pixel_multiple == backbone.pixel_multiple


@pytest.mark.parametrize("name", SPECS)
def test_info_says_what_a_model_can_do_before_it_is_here(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RECAST_HOME", str(tmp_path))
    assert run(["models", "info", name, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    if not SPECS[name].edits:
        assert facts["can"].endswith(", and no edits")
        return
    assert set(abilities_of_spec(SPECS[name]).facts) <= set(facts)
    assert facts["content"]
    assert set(facts["content"]) <= {"words", "picture"}
