"""A checkpoint in one file, in the layout of Stable Diffusion 1's first release, becomes the folder it was made of."""

import json
import shutil
from functools import partial
from operator import attrgetter

import pytest
import torch
from diffusers.models.unets.unet_motion_model import MotionAdapter
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from animatediff_folder import tiny_adapter, write_gen1_zero
from first_release import checkpoint, control_names, second_checkpoint, xl_checkpoint
from ip_adapter_folder import add_ip_adapter, ip_adapter
from pipelines import opened
from recast.backbones.tiny import write_stable_diffusion
from recast.cli.app import run
from recast.conditions.content import Medium
from xl_folder import write_xl


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_stable_diffusion(tmp_path_factory.mktemp("source"), seed=5)


@pytest.fixture(scope="module")
def file(source, tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "dreamy.safetensors"
    save_file(checkpoint(source), path)
    return path


def test_the_folder_has_the_networks_of_the_file_and_the_rest_of_another(source, file, tmp_path):
    like = write_gen1_zero(tmp_path / "like")
    assert run(["models", "import", str(file), "-o", str(tmp_path / "made"), "--like", str(like)]) == 0
    made, expected, other = opened(tmp_path / "made"), opened(source), opened(like)
    assert_close(made.vae.state_dict(), expected.vae.state_dict(), atol=0, rtol=0)
    assert_close(made.prompt.network.state_dict(), expected.prompt.network.state_dict(), atol=0, rtol=0)
    own = expected.unet.state_dict()
    assert_close({name: weight for name, weight in made.unet.state_dict().items() if name in own}, own, atol=0, rtol=0)
    motion = {name: weight for name, weight in other.unet.state_dict().items() if name not in own}
    assert_close({name: made.unet.state_dict()[name] for name in motion}, motion, atol=0, rtol=0)
    assert made.structure_kinds == other.structure_kinds


@pytest.mark.parametrize(
    ("change", "wrong"),  # of the file's weights, and the error
    [
        ({"model.diffusion_model.out.0.weight": None}, "lacks"),
        ({"first_stage_model.encoder.norm_out.bias": None}, "lacks"),
        ({"model.diffusion_model.out.0.weight": torch.zeros(3)}, "conv_norm_out.weight is (3,), and the folder's"),
        ({"cond_stage_model.transformer.text_model.final_layer_norm.bias": None}, "lacks 1 weights of text_encoder"),
    ],
)
def test_other_checkpoints_are_refused_and_leave_nothing(source, file, tmp_path, capsys, change, wrong):  # noqa: PLR0917 -- fixtures
    tensors = {name: weight for name, weight in (load_file(file) | change).items() if weight is not None}
    save_file(tensors, tmp_path / "a.safetensors")
    asked = ["models", "import", str(tmp_path / "a.safetensors"), "-o", str(tmp_path / "made"), "--like", str(source)]
    assert run(asked) == 3
    assert wrong in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


LATER = {
    "2": (partial(write_stable_diffusion, prediction="v_prediction"), second_checkpoint, ("prompt",)),
    "xl": (write_xl, xl_checkpoint, ("prompt", "prompt.second")),
}


@pytest.mark.parametrize(("write", "made_of", "texts"), LATER.values(), ids=LATER)
def test_later_checkpoints_become_the_folders_they_were_made_of(tmp_path, write, made_of, texts):
    source, like = write(tmp_path / "source", seed=5), write(tmp_path / "like", seed=6)
    save_file(made_of(source), tmp_path / "a.safetensors")
    asked = ["models", "import", str(tmp_path / "a.safetensors"), "-o", str(tmp_path / "made"), "--like", str(like)]
    assert run(asked) == 0
    made, expected, other = opened(tmp_path / "made"), opened(source), opened(like)
    for part in ("unet", "vae", *(f"{text}.network" for text in texts)):
        weights, own, theirs = (attrgetter(part)(each).state_dict() for each in (made, expected, other))
        assert_close(weights, own, atol=0, rtol=0)
        assert any(not torch.equal(weight, theirs[name]) for name, weight in weights.items())


def test_what_is_no_checkpoint_is_named(tmp_path, source, capsys):
    save_file({"lora_unet.x": torch.zeros(1)}, tmp_path / "a.safetensors")
    asked = ["models", "import", str(tmp_path / "a.safetensors"), "-o", str(tmp_path / "made"), "--like", str(source)]
    assert run(asked) == 3
    assert "it has no text encoder, but lora_unet.x" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_told_so(tmp_path, source, capsys):
    asked = ["models", "import", str(tmp_path / "b.safetensors"), "-o", str(tmp_path / "made"), "--like", str(source)]
    assert run(asked) == 2
    assert "there is no such file" in capsys.readouterr().err


def test_pickles_and_places_that_are_taken_are_refused(source, file, tmp_path, capsys):
    pickle = tmp_path / "a.ckpt"
    pickle.write_bytes(b"\x80\x04")
    assert run(["models", "import", str(pickle), "-o", str(tmp_path / "made"), "--like", str(source)]) == 3
    assert "pickles can run code when read" in capsys.readouterr().err
    assert run(["models", "import", str(file), "-o", str(tmp_path), "--like", str(source)]) == 2
    assert json.loads((source / "model_index.json").read_text())


def original_names(adapter):
    """A motion adapter's weights by the names of AnimateDiff's own files, with the positions that those have."""
    names = {".norm1": ".norms.0", ".norm2": ".norms.1", ".norm3": ".ff_norm"}
    names |= {".attn1": ".attention_blocks.0", ".attn2": ".attention_blocks.1"}
    renamed = {}
    for name, weight in adapter.state_dict().items():
        if name.endswith("pos_embed.pe"):
            place = name.removesuffix("pos_embed.pe").replace(".transformer", ".temporal_transformer.transformer")
            renamed |= {f"{place}attention_blocks.{n}.pos_encoder.pe": weight.clone() for n in range(2)}
            continue
        theirs = name
        for each, other in names.items():
            theirs = theirs.replace(each, other)
        head, module, rest = theirs.partition("motion_modules.")
        number, _, rest = rest.partition(".")
        renamed[f"{head}{module}{number}.temporal_transformer.{rest}"] = weight
    return renamed


@pytest.mark.parametrize("layout", ["original", "diffusers"])
def test_motion_modules_in_one_file_take_their_place(layout, tmp_path):
    like, adapter = write_gen1_zero(tmp_path / "like"), tiny_adapter()
    weights = original_names(adapter) if layout == "original" else adapter.state_dict()
    save_file(dict(weights), tmp_path / "mm.safetensors")
    asked = ["models", "import", str(tmp_path / "mm.safetensors"), "-o", str(tmp_path / "made"), "--like", str(like)]
    assert run(asked) == 0
    made = MotionAdapter.from_pretrained(tmp_path / "made" / "motion_adapter")
    assert_close(made.state_dict(), adapter.state_dict(), atol=0, rtol=0)
    assert opened(tmp_path / "made").structure_kinds == opened(like).structure_kinds


def test_positions_of_another_version_are_refused(tmp_path, capsys):
    like, adapter = write_gen1_zero(tmp_path / "like"), tiny_adapter(motion_max_seq_length=24)
    save_file(original_names(adapter), tmp_path / "mm.safetensors")
    asked = ["models", "import", str(tmp_path / "mm.safetensors"), "-o", str(tmp_path / "made"), "--like", str(like)]
    assert run(asked) == 3
    assert "has positions of 24 frames and the folder's configuration of 16" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("layout", ["original", "diffusers"])
def test_a_controlnet_in_one_file_takes_its_place(layout, tmp_path):
    like = write_gen1_zero(tmp_path / "like")
    weights = load_file(like / "controlnet" / "diffusion_pytorch_model.safetensors")
    weights = {name: weight + 1 for name, weight in weights.items()}
    save_file(control_names(weights) if layout == "original" else weights, tmp_path / "depth.safetensors")
    asked = ["models", "import", str(tmp_path / "depth.safetensors"), "-o", str(tmp_path / "made"), "--like", str(like)]
    assert run(asked) == 0
    made = load_file(tmp_path / "made" / "controlnet" / "diffusion_pytorch_model.safetensors")
    assert_close(made, weights, atol=0, rtol=0)


def test_an_ip_adapter_in_one_file_needs_an_image_encoder(tmp_path, capsys):
    like = write_gen1_zero(tmp_path / "like")
    save_file(ip_adapter(), tmp_path / "ip.safetensors")
    asked = ["models", "import", str(tmp_path / "ip.safetensors"), "-o", str(tmp_path / "made"), "--like", str(like)]
    assert run(asked) == 2
    assert "has no image_encoder" in capsys.readouterr().err
    shutil.rmtree(add_ip_adapter(like) / "ip_adapter")
    assert run(asked) == 0
    assert set(opened(tmp_path / "made").media) == set(Medium)


def test_a_file_that_is_none_of_these_is_refused_and_says_what_lora_is_for(source, tmp_path, capsys):
    save_file({"lora_unet_motion_modules.lora_down.weight": torch.zeros(2, 4)}, tmp_path / "a.safetensors")
    asked = ["models", "import", str(tmp_path / "a.safetensors"), "-o", str(tmp_path / "made"), "--like", str(source)]
    assert run(asked) == 3
    assert "LoRA and learned words are given as --adapter" in capsys.readouterr().err
