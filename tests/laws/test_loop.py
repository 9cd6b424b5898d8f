"""The training loop: what a step is, what it skips, how a batch is divided, and that watching changes nothing."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor
from training_run import BATCH, Small, flat, recipe, squares, strip

from recast.engine import monitor
from recast.engine.loop import BatchShard, LossOutput, TrainConfig, fit
from recast.errors import RecastError, RequestError
from recast.files import run_lock


def test_one_step_is_adamw_along_the_clipped_gradient(tmp_path: Path):
    asked = recipe(steps=1, clip=0.1)
    network, other = Small(dropout=0), Small(dropout=0)
    squares(other, BatchShard(0)).mean.backward()
    used = [weight for weight in other.parameters() if weight.grad is not None]
    assert torch.nn.utils.clip_grad_norm_(used, 0.1) > 0.1
    matrices, rest = [w for w in used if w.ndim > 1], [w for w in used if w.ndim < 2]
    groups = [{"params": matrices}, {"params": rest, "weight_decay": 0.0}]
    torch.optim.AdamW(groups, lr=asked.rate_at(0), betas=(0.9, 0.99), weight_decay=asked.decay).step()
    with torch.no_grad():  # the average of one step, as the ramp of its decay has it
        for weight, start in zip(other.parameters(), Small().parameters(), strict=True):
            weight.lerp_(start, 0.1)
    torch.testing.assert_close(flat(fit(network, squares, asked, tmp_path)), flat(other), rtol=0, atol=1e-7)


def test_a_batch_in_parts_is_the_same_batch(tmp_path: Path):
    drawn = [row for part in range(4) for row in BatchShard(0, part, 4).rows(BATCH)]
    assert sorted(drawn) == list(range(BATCH))
    whole = fit(Small(dropout=0), squares, recipe(), tmp_path / "whole")
    parted = fit(Small(dropout=0), squares, recipe(accumulate=4), tmp_path / "parted")
    whole.seen.zero_()
    parted.seen.zero_()
    torch.testing.assert_close(flat(whole), flat(parted), rtol=0, atol=1e-5)
    with pytest.raises(RequestError, match="a batch of 8 does not divide into 3 equal parts"):
        BatchShard(0, 0, 3).rows(BATCH)
    with pytest.raises(RequestError, match="cannot be split into 2 parts"):
        BatchShard(0, 0, 2).undivided()


def broken(at: range, where: str):
    def loss(network: Small, share: BatchShard) -> Tensor:
        value = squares(network, share).mean
        if share.step in at:
            value = value * float("nan") if where == "loss" else _bad_backwards(value)
        return value

    return loss


def _bad_backwards(value: Tensor) -> Tensor:
    """Finite, but its gradient is not."""
    zero = value - value.detach()
    return value + zero.sqrt() * 0


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_step_that_is_not_finite_leaves_weights_average_and_optimiser_alone(tmp_path: Path, where: str):
    network = Small(dropout=0)
    before = fit(network, squares, recipe(steps=6, keep_every=6), tmp_path)
    seen = []
    # The last four steps of ten are bad: what is kept is what six steps made.
    short, long = (
        fit(Small(dropout=0), broken(range(6, 10), where), recipe(10, 6), tmp_path / name, monitor=watch_)
        for name, watch_ in (("short", seen.append), ("long", monitor.unmonitored))
    )
    assert [row.skipped for row in seen][5:] == [0, 1, 2, 3, 4]
    assert torch.equal(flat(short), flat(long))
    state = json.loads((tmp_path / "short/step-000010/state.json").read_text())
    assert state["skipped"] == state["in_a_row"] == 4
    assert set(state["moves"].values()) == {6.0, 4.0}  # the seldom branch rests on steps 0 and 3
    assert torch.isfinite(flat(short)).all()
    assert before is network


def test_too_many_bad_steps_end_the_run(tmp_path: Path):
    with pytest.raises(RecastError, match="not finite in 21 steps in a row, up to 24"):
        fit(Small(), broken(range(3, 99), "loss"), recipe(steps=40), tmp_path / "row")
    with pytest.raises(RecastError, match="not finite in 21 of 42 steps, and 20 are allowed"):
        fit(Small(), broken(range(1, 99, 2), "gradient"), recipe(steps=100), tmp_path / "share")
    # What was kept before stays.
    assert (tmp_path / "share/LATEST").read_text() == "step-000040\n"


def test_the_rate_rises_to_its_peak_and_falls_to_a_fiftieth():
    asked = TrainConfig(steps=100, rate=2.0, warmup=10)
    rates = [asked.rate_at(step) for step in range(101)]
    assert rates[9] == rates[10] == 2.0 == max(rates)
    assert rates[100] == pytest.approx(0.04)
    assert all(b <= a for a, b in pairwise(rates[10:]))


def test_the_rate_ends_at_its_share_and_a_share_of_one_keeps_it():
    constant = TrainConfig(steps=100, rate=2.0, warmup=10, last_rate=1.0)
    assert {constant.rate_at(step) for step in range(10, 101)} == {2.0}
    assert TrainConfig(steps=100, rate=2.0, last_rate=0.25).rate_at(300) == pytest.approx(0.5)
    # Checkpoints from before the share was a setting do not name it, and still go on.
    assert "last_rate" not in TrainConfig(steps=1).decisive()
    assert constant.decisive()["last_rate"] == 1.0


def test_a_recipe_says_what_it_cannot_be():
    with pytest.raises(RequestError, match="no precision is called 'fp8'; known: auto, bf16, fp32"):
        TrainConfig(steps=1, precision="fp8")
    with pytest.raises(RequestError, match="at least 1"):
        TrainConfig(steps=1, accumulate=0)


def test_watching_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture):
    asked = recipe(steps=100, keep_every=20)
    torch.manual_seed(1)  # dropout draws from there
    alone = fit(Small(), squares, asked, tmp_path / "alone")
    torch.manual_seed(1)
    with (
        monitor.progress_monitor("small", 100) as line,
        monitor.tensorboard_monitor(tmp_path / "seen", flops=1e6) as board,
    ):
        watched = fit(Small(), squares, asked, tmp_path / "seen", monitor=monitor.combined(line, board), samples=strip)
    assert torch.equal(flat(alone), flat(watched))
    output = capsys.readouterr().err
    assert "100/100, 0 s left, loss" in output
    rows = [json.loads(row) for row in (tmp_path / "seen/log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [50, 100]
    assert rows[1].keys() == {"step", "loss", "norm", "rate", "skipped", "pace"}


def test_two_runs_at_once_in_one_folder_are_refused(tmp_path: Path):
    with run_lock(tmp_path), pytest.raises(RequestError, match="another run is at work there"):
        fit(Small(), squares, recipe(2), tmp_path)
    fit(Small(), squares, recipe(2), tmp_path)


def test_a_log_that_cannot_be_written_ends_the_run_with_a_reason(tmp_path: Path):
    (tmp_path / monitor.LOG).mkdir()
    output = r"log in .* could not be written after step 50 .*directory.* GiB free; checkpoints are whole"
    with pytest.raises(RecastError, match=output):
        fit(Small(), squares, recipe(steps=60, keep_every=20), tmp_path)


def test_tensorboard_shows_the_loss_by_noise_level(tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def known(network: Small, share: BatchShard) -> LossOutput:
        """Rows whose loss is their level."""
        measured = squares(network, share)
        levels = (torch.tensor(list(share.rows(BATCH))) + 0.5) / BATCH
        return LossOutput(measured.mean, levels.clone(), levels, waited=1e-6)

    with monitor.tensorboard_monitor(tmp_path, flops=1e6) as board:
        fit(Small(), known, recipe(steps=50), tmp_path, monitor=board, samples=strip)
    events = EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    curves = {name: [point.value for point in events.Scalars(name)] for name in events.Tags()["scalars"]}
    assert {"loss/mean", "gradient/norm", "learning/rate", "learning/skipped steps", "speed/mfu"} <= curves.keys()
    assert {"speed/samples a second", "speed/share of time waiting for data", "memory/peak GiB"} <= curves.keys()
    levels = {name: values for name, values in curves.items() if name.startswith("loss by noise level/")}
    assert len(levels) == 8
    for name, values in levels.items():
        low, high = map(float, name.split("/")[1].split(" to "))
        assert all(low <= value < high for value in values)
    assert events.Tags()["images"] == ["strip"]
    assert 0 < curves["speed/mfu"][-1] < 1
