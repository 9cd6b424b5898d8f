"""Precision: a choice from two rates, measured once, kept with the run on whatever processor it goes on."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from forked import together
from training_run import Small, Stopped, flat, recipe, squares, stopped_at

from recast.data import latent_cache
from recast.engine.loop import TrainConfig, fit, with_precision
from recast.engine.precision import AUTO, PRECISIONS, WORTHWHILE, autocast, chosen_precision, matrix_rates
from recast.errors import RequestError
from small_presets import initial_network, pool, small

EMULATED, NATIVE = {"fp32": 54e9, "bf16": 0.9e9}, {"fp32": 90e9, "bf16": 200e9}


@pytest.mark.parametrize(
    ("fp32", "bf16", "chosen"),
    [
        (54e9, 0.9e9, "fp32"),
        (90e9, 200e9, "bf16"),
        (60e12, 790e12, "bf16"),
        (1.0, 1.0, "fp32"),
        (100.0, 119.9, "fp32"),
        (100.0, 100 * WORTHWHILE, "bf16"),
        (1.0, 0.0, "fp32"),
    ],
)
def test_bfloat16_is_chosen_where_it_is_worth_it(fp32: float, bf16: float, chosen: str):
    assert chosen_precision({"fp32": fp32, "bf16": bf16}) == chosen
    assert chosen_precision({"fp32": 1e12 * fp32, "bf16": 1e12 * bf16}) == chosen  # no unit, only their quotient


def test_rates_are_positive_and_measured_once():
    rates = matrix_rates("cpu")
    assert rates.keys() == PRECISIONS.keys()
    assert all(1e6 < rate < 1e16 for rate in rates.values())
    assert matrix_rates("cpu") is rates


def test_fp32_casts_nothing_and_bfloat16_products_only():
    weight = torch.ones(2, 2)
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with autocast("cpu", name):
            assert (weight @ weight).dtype == dtype
            assert (weight + weight).dtype == torch.float32


def asked(steps: int = 20) -> TrainConfig:
    return replace(recipe(steps), precision=AUTO)


def never(device: str) -> Mapping[str, float]:
    raise AssertionError(device)


def kept(run: Path, step: int) -> str:
    return json.loads((run / f"step-{step:06d}/state.json").read_text())["configuration"]["precision"]


@pytest.mark.parametrize("rates", [EMULATED, NATIVE])
def test_a_new_run_takes_what_its_processor_is_fast_at(tmp_path: Path, rates: dict[str, float]):
    asked_devices = []
    opened = with_precision(asked(), tmp_path, rates=lambda device: asked_devices.append(device) or rates)
    assert opened == replace(asked(), precision=chosen_precision(rates))
    assert asked_devices == ["cpu"]
    assert with_precision(opened, tmp_path, rates=never) is opened


def test_auto_stands_in_the_checkpoint_as_what_it_came_to(tmp_path: Path):
    fit(Small(), squares, asked(steps=2), tmp_path)
    assert kept(tmp_path, 2) == chosen_precision(matrix_rates("cpu"))


@pytest.mark.parametrize(("first", "second"), [(EMULATED, NATIVE), (NATIVE, EMULATED)])
def test_a_run_goes_on_in_its_precision_on_another_processor(tmp_path: Path, first: dict, second: dict):
    whole = fit(Small(0), squares, with_precision(asked(), tmp_path / "a", rates=lambda _: first), tmp_path / "a")
    with pytest.raises(Stopped):
        fit(Small(0), stopped_at(12), with_precision(asked(), tmp_path / "b", rates=lambda _: first), tmp_path / "b")
    other = with_precision(asked(), tmp_path / "b", rates=lambda _: second)
    assert other.precision == kept(tmp_path / "b", 10) == chosen_precision(first) != chosen_precision(second)
    # Asked for auto, on this processor: one of the two runs is of the precision that it would not choose.
    assert torch.equal(flat(fit(Small(0), squares, asked(), tmp_path / "b")), flat(whole))
    with pytest.raises(RequestError, match=f"precision '{other.precision}' there, '{chosen_precision(second)}' asked"):
        fit(Small(0), squares, replace(asked(), precision=chosen_precision(second)), tmp_path / "b")


def test_an_unreadable_newest_checkpoint_leaves_the_word_to_the_one_before(tmp_path: Path):
    fit(Small(0), squares, replace(asked(10), precision="bf16"), tmp_path)
    (tmp_path / "step-000010/state.json").write_text("{")
    assert with_precision(asked(10), tmp_path, rates=lambda _: EMULATED).precision == "bf16"


@pytest.mark.dist
def test_all_processes_take_what_the_first_one_does(tmp_path: Path):
    """Each of two processes measures otherwise, and the second is never asked."""
    program = tmp_path / "asked.py"
    program.write_text(
        "import sys; from pathlib import Path; from recast.engine.distributed import joined\n"
        "from recast.engine.loop import TrainConfig, with_precision; from recast.engine.launch import leave\n"
        "with joined('ddp', 'cpu') as place:\n"
        "    rates = {'fp32': 1.0, 'bf16': 2.0 if place.first else 0.5}\n"
        "    run = Path(sys.argv[1])\n"
        "    chosen = with_precision(TrainConfig(steps=1), run, engine=place, rates=lambda _: rates).precision\n"
        "    (run / f'{place.rank}.txt').write_text(chosen)\n"
        "leave(0)\n"
    )
    [done] = together((program, tmp_path), processes=2)
    assert done.codes == [0, 0], done.stderr
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in range(2)] == ["bf16", "bf16"]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_cache_says_what_its_latents_were_computed_in(tmp_path: Path, precision: str):
    vae = initial_network(*small("pocket-vae")).eval()
    latent_cache.fill(tmp_path / "cache", pool(), range(2), [0], latent_cache.Encoders(vae, 1.0, precision=precision))
    assert json.loads((tmp_path / "cache" / latent_cache.METADATA).read_text()) == {"precision": precision}
    frame = torch.from_numpy(pool().frames[0]).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        whole = vae.encode(frame, return_dict=False)[0].mean
    latents = torch.from_numpy(np.load(tmp_path / "cache/latents.npy"))[0].float()
    torch.testing.assert_close(latents, whole.half().float(), rtol=0.05, atol=0.02 if precision == "bf16" else 1e-3)
