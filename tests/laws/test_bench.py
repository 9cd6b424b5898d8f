"""What `recast bench` times, counts and says."""

import json
from functools import partial

import pytest
import torch

from recast.bench import GROUPS, networks
from recast.bench.case import BenchCase, BenchConfig
from recast.bench.report import HEADINGS, BenchReport
from recast.bench.timing import BenchRun, Timing, timed
from recast.cli.app import run
from recast.evaluation.meta_networks import counted
from tiny_folder import written

CPU = torch.device("cpu")


def case(work=lambda: None, **more):
    return BenchCase(**{"group": "a", "name": "b", "size": "c", "work": work, "units": 4, "unit": "frame"} | more)


def test_cases_take_turns_and_the_first_turn_is_kept_apart():
    called = []
    cases = [case(partial(called.append, name), name=name) for name in "xy"]
    found = timed(cases, 3, CPU, torch.float32, lambda _: None)
    assert called == ["x", "y"] * 4
    assert [len(timing.seconds) for timing in found.timings] == [3, 3]
    assert found.product > 0
    assert found.copy > 0


def test_the_floor_is_the_larger_of_arithmetic_and_traffic():
    found = BenchRun(product=100.0, copy=10.0, timings=())
    assert found.floor(case(floor=(200.0, 5.0))) == 2.0
    assert found.floor(case(floor=(200.0, 50.0))) == 5.0
    assert found.floor(case()) is None


def test_ratios_are_turn_by_turn_to_the_first_of_the_group_and_size(tmp_path):
    """A machine that slows down slows both: the ratio stays."""
    first, other = Timing(case(floor=(10.0, 0.0))), Timing(case(name="peer", floor=(15.0, 0.0), peer=True))
    first.seconds, other.seconds = [1.0, 10.0, 100.0], [2.0, 20.0, 200.0]
    first.busy, other.busy = [1.0] * 3, [2.0] * 3
    report = BenchReport(BenchConfig(folder=tmp_path, device=CPU), BenchRun(5.0, 1.0, (first, other)))
    row = report.to_row(other)
    assert (row["ratio"], row["flops_ratio"], row["frames_a_second"]) == (2.0, 1.5, 0.2)
    assert (row["floor_seconds"], row["share_of_floor"]) == (3.0, 0.15)
    assert all(len(shown) == len(HEADINGS) for shown in report.rows)
    assert json.loads(json.dumps(report.to_json()))["rows"][1]["peer"]


def test_bytes_are_those_that_operators_read_and_write():
    x, y = (torch.empty(3, 5, device="meta") for _ in range(2))
    assert counted(lambda: x + y).moved == 3 * 15 * 4
    assert counted(lambda: (x.T @ y).view(-1)).moved == (15 + 15 + 25) * 4


@pytest.mark.parametrize(
    ("name", "tflop"),
    [
        ("gen1", 7.66),
        ("gen1, layers over time off", 5.16),
        ("AnimateDiff + ControlNet", 9.08),
        ("UNet3D of ModelScope", 8.66),
    ],
)
def test_networks_at_full_width_are_the_published_ones(name, tflop):
    """FLOPs of 8 frames of 448x256 in two branches, as docs/models.md has them of single branches."""
    make, _ = networks._NETWORKS[name]
    clip = networks.RandomClip(8, networks.PIXELS["full"], torch.device("meta"), torch.float32)
    flops, moved = networks._floor(make, networks.WIDTHS["full"], clip)
    assert flops / 1e12 == pytest.approx(tflop, rel=0.01)
    assert moved > 0


@pytest.mark.parametrize(
    "groups",
    [
        {"edits": 1},
        pytest.param({"networks": 4, "clips": 3, "training": 1}, marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_every_group_gives_rows(groups, tmp_path, capsys):
    folder, target = written(tmp_path / "model"), tmp_path / "found.json"
    asked = ["--width", "tiny", "--frames", "2", "--rounds", "1", "--rows", "1", "--steps", "1", "--sizes", "32"]
    asked += ["-m", str(folder), "--methods", "gen1", "--presets", "pocket-images", "-o", str(target)]
    assert run(["bench", *groups, *asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(target.read_text())
    assert [row["group"] for row in found["rows"]] == [name for name, count in groups.items() for _ in range(count)]
    assert all(len(row["seconds"]) == 1 and row["floor_seconds"] > 0 for row in found["rows"])
    assert run(["bench", "edits", *asked]) == 2
    assert "is already there" in capsys.readouterr().err


@pytest.mark.slow
def test_files_and_curation_are_timed(tmp_path, capsys):
    folder = written(tmp_path / "model")
    assert run(["bench", "media", "curation", "--rounds", "1", "--frames", "2", "-m", str(folder), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["group"] for row in rows} == {"media", "curation"}
    assert all(row["floor_seconds"] is None for row in rows)


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        (["edit"], "is no group of benchmarks"),
        (["edits", "--methods", "gen2"], "gen2"),
        (["edits", "--sizes", "8"], "is no whole number of 16 to 4096"),
        (["networks", "--width", "huge"], "huge"),
        (["training", "--presets", "pocket-depth"], "trains no generator"),
        (["networks", "--precision", "fp8"], "fp8"),
    ],
)
def test_what_cannot_be_timed_is_one_line(asked, wrong, capsys):
    assert run(["bench", *asked]) == 2
    printed = capsys.readouterr().err
    assert wrong in printed
    assert len(printed.strip().splitlines()) == 1


def test_groups_are_those_that_the_help_names(capsys):
    run(["bench", "--help"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in GROUPS)
