"""Kernels of attention and compilers by name change last digits at most, leave no trace, and say what they cannot."""

import json
from functools import partial
from typing import get_args, get_type_hints

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.testing import assert_close

from cogvideox_folder import write_cogvideox
from ltx_folder import write_ltx
from pipelines import drawn, opened
from recast.backbones.acceleration import ATTENTION, attending_by, compiled_blocks
from recast.backbones.memory import blocks_of, streamed_weights
from recast.backbones.tiny import write_stable_diffusion
from recast.cli.app import run
from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.editing.request import Request
from recast.errors import BackboneError
from recast.types import Condition
from tiny_folder import clip_folder
from wan_folder import write_wan

TRANSFORMERS = {"cogvideox": write_cogvideox, "ltx": write_ltx, "wan": write_wan, "two": partial(write_wan, two=True)}


def answer(backbone, sigma=1.0):
    words = backbone.encode_content([ContentInput(Medium.WORDS, "a red ball")])
    condition = Condition(words, backbone.null_tokens())
    shape = (3, backbone.encode(torch.zeros(1, 3, 32, 32, dtype=torch.uint8)).shape[1], 4, 6)
    with torch.no_grad():
        return backbone.denoise_branches(drawn(*shape, seed=0), sigma, condition, [Branch(condition.cond)])[0]


def test_every_name_of_the_request_is_a_kernel():
    assert set(get_args(get_type_hints(Request)["attention"])) == {"auto", *ATTENTION}


@pytest.mark.parametrize("name", ["math", "flash"])
def test_a_kernel_by_name_is_torchs_and_changes_last_digits_at_most(name, tmp_path):
    backbone = opened(write_stable_diffusion(tmp_path))
    usual = answer(backbone)
    with attending_by(name):
        made = answer(backbone)
    with sdpa_kernel(ATTENTION[name]):
        assert torch.equal(answer(backbone), made)
    assert_close(made, usual, atol=1e-5, rtol=0)
    assert torch.equal(answer(backbone), usual)


def test_a_kernel_that_cannot_is_refused_and_other_faults_pass():
    x = torch.zeros(1, 1, 4, 4)
    with pytest.raises(BackboneError, match="attention by cudnn cannot be computed"), attending_by("cudnn"):
        torch.nn.functional.scaled_dot_product_attention(x, x, x)
    with pytest.raises(RuntimeError, match="of another kind"), attending_by("math"):
        raise RuntimeError("of another kind")
    with sdpa_kernel(SDPBackend.MATH), attending_by("auto"):
        torch.nn.functional.scaled_dot_product_attention(x, x, x)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_blocks_are_traced_inside_and_as_they_were_afterwards(name, tmp_path):
    """By torch's `eager`, which traces as compilers are given it, and then computes as before."""
    backbone = opened(TRANSFORMERS[name](tmp_path))
    usual = answer(backbone), answer(backbone, 0.1)
    with compiled_blocks(backbone, "eager"):
        assert torch.equal(answer(backbone), usual[0])
        assert torch.equal(answer(backbone, 0.1), usual[1])
        assert torch._dynamo.utils.counters["frames"]["ok"] > 0
    assert all(block._compiled_call_impl is None for block in blocks_of(backbone))
    assert torch.equal(answer(backbone), usual[0])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")
def test_inductor_changes_last_digits_at_most(tmp_path):
    backbone = opened(write_wan(tmp_path))
    usual = answer(backbone)
    with compiled_blocks(backbone, "inductor"):
        assert_close(answer(backbone), usual, atol=1e-5, rtol=0)


def test_what_cannot_be_compiled_is_refused(tmp_path):
    unet, transformer = opened(write_stable_diffusion(tmp_path / "unet")), opened(write_wan(tmp_path / "wan"))
    with pytest.raises(BackboneError, match="compilers are for transformers of video"), compiled_blocks(unet, "eager"):
        pass
    refused = pytest.raises(BackboneError, match="cannot be compiled")
    with streamed_weights(transformer, "cpu"), refused, compiled_blocks(transformer, "eager"):
        pass


def test_an_edit_asks_for_them_and_its_record_has_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    clip_folder(tmp_path / "clip", frames=2)
    model = str(write_stable_diffusion(tmp_path / "model"))
    edit = ["edit", "clip", "-p", "snow", "-m", model, "--steps", "1", "-o"]
    assert run([*edit, "out.mkv", "--attention", "math", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["record"]["request"]["attention"] == "math"
    assert run([*edit, "no.mkv", "--attention", "cudnn", "--device", "cpu"]) == 2
    assert "leave --attention out" in capsys.readouterr().err
    assert run([*edit, "no.mkv", "--compiler", "inductor"]) == 2
    assert "compilers are for transformers of video" in capsys.readouterr().err
    assert run([*edit, "no.mkv", "--attention", "sage"]) == 2
    assert not (tmp_path / "no.mkv").exists()
