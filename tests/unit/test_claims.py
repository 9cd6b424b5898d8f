"""Claims of papers: a table of contrasts, verdicts by intervals, and a run that is stopped and resumed."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tiny_folder
from recast.cli.app import run
from recast.editing.progress import no_progress
from recast.editing.request import Request
from recast.errors import RequestError
from recast.evaluation import METRICS
from recast.evaluation.claims import arms
from recast.evaluation.claims.arms import ArmItem, ClaimRun, held, measured
from recast.evaluation.claims.claim import SOURCE, Arm, Claim
from recast.evaluation.claims.reproduce import Reproduction, reproduced, tally, to_markdown
from recast.evaluation.claims.table import CLAIMS, chosen, ours
from recast.evaluation.claims.verdicts import answer, verdicts
from recast.evaluation.intervals import Figure, clustered, mean
from recast.evaluation.items import EvalConfig, open_context

# The tiny model knows few words, and worlds are described by others.
pytestmark = pytest.mark.filterwarnings("ignore::recast.errors.RecastWarning")

OTHER = ours(steps=2)
RISES = Claim("a paper, 1", "more is more", "frames", "rises", ours(), OTHER)
WORLD = 1000


def test_each_claim_is_a_contrast_that_can_be_asked_for_or_says_what_it_needs():
    for name, claim in CLAIMS.items():
        assert bool(claim.needs) != bool(claim.arms), name
        for arm in claim.arms:
            assert claim.measure in METRICS, name
            Request.asked(words="a", **dict(arm.options))
            assert claim.measure != "unasked" or arm.case in ("place", "colour"), name


def test_a_label_stands_for_one_setting():
    arms = {arm for claim in CLAIMS.values() for arm in claim.arms}
    assert len({arm.label for arm in arms}) == len(arms)


def test_claims_are_chosen_by_name_and_by_group():
    assert chosen([]) == CLAIMS
    assert set(chosen(["masks-kept", "pictures"])) == {"masks-kept"} | {n for n in CLAIMS if n.startswith("pictures")}
    with pytest.raises(RequestError, match="known: temporal"):
        chosen(["tempora"])


@given(st.floats(-1, 1), st.floats(0, 1))
def test_a_rise_is_the_fall_of_its_mirror_image(value, reach):
    there, mirrored = Figure(value, value - reach, value + reach, 9), Figure(-value, -value - reach, reach - value, 9)
    assert answer(RISES, there, 9) == answer(replace(RISES, way="falls"), mirrored, 9)
    assert (answer(RISES, there, 9) == "holds") is (value - reach > 0)
    assert (answer(RISES, there, 9) == "fails") is (value + reach <= 0 and (value, reach) != (0, 0))


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(-0.5, 0.9, "holds"), (0.5, 1.5, "open"), (1.1, 2.0, "fails"), (-3.0, -1.5, "fails")]
)
def test_what_stays_does_so_within_a_bound(low, high, expected):
    stays = replace(RISES, way="stays", within=1.0)
    assert answer(stays, Figure((low + high) / 2, low, high, 9), 9) == expected


def test_few_worlds_and_arms_that_never_differ_tell_nothing():
    assert answer(RISES, Figure(1, 0.9, 1.1, 4), 4) == "open"
    assert answer(RISES, Figure(0, 0, 0, 9), 9) == "open"
    assert answer(replace(RISES, way="stays", within=1.0), Figure(0, 0, 0, 9), 9) == "holds"


def test_a_planted_effect_is_found_where_both_settings_were_measured():
    rng = np.random.default_rng(3)
    found = {}
    for world in range(20):
        for seed in range(2):
            base = float(rng.normal(0.9, 0.1))
            found[ArmItem(ours(), world, seed)] = {"frames": base}
            found[ArmItem(OTHER, world, seed)] = {"frames": base + 0.01 + float(rng.normal(0, 0.005))}
    found[ArmItem(OTHER, 99, 0)] = {"frames": 7.0}  # has no other side
    rise = verdicts({"up": RISES, "down": replace(RISES, before=OTHER, after=ours())}, found)
    assert [each.answer for each in rise] == ["holds", "fails"]
    assert (rise[0].worlds, rise[0].seeds) == (20, 2)
    assert rise[0].difference.value == pytest.approx(-rise[1].difference.value)
    assert rise[0].after - rise[0].before == pytest.approx(rise[0].difference.value)
    nothing = verdicts({"none": replace(RISES, measure="warp")}, found)[0]
    assert (nothing.answer, nothing.difference) == ("open", None)


def test_seeds_of_a_world_are_no_more_worlds():
    rng = np.random.default_rng(5)
    worlds = list(rng.normal(0, 1, 40))
    alone = mean(worlds, np.random.default_rng(1))
    assert clustered([[each] for each in worlds], np.random.default_rng(1)) == alone
    repeated = clustered([[each] * 9 for each in worlds], np.random.default_rng(1))
    assert (repeated.low, repeated.high, repeated.count) == pytest.approx((alone.low, alone.high, 40))
    # Two normal stages: the mean's variance is that between worlds and that within them, over their numbers.
    spread = [list(each + rng.normal(0, 2, 3)) for each in worlds]
    within, means = np.mean([np.var(each) for each in spread]), [np.mean(each) for each in spread]
    reach = 1.96 * np.sqrt(np.var(means) / 40 + within / 3 / 40)
    figure = clustered(spread, np.random.default_rng(2))
    assert (figure.high - figure.low) / 2 == pytest.approx(reach, rel=0.1)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        # Its tokens are letters, and worlds are described by many of them.
        patch.setattr(tiny_folder, "PLACES", 80)
        model = tiny_folder.written(tmp_path_factory.mktemp("model"))
    run = ClaimRun(str(model), "cpu", 64, (("ensemble", 1), ("steps", 1)))
    return Reproduction(run, chosen(["masks"]), range(WORLD, WORLD + 1), seeds=2)


def test_a_run_that_was_stopped_goes_on_and_tells_the_same(asked, tmp_path):
    whole = replace(asked, results=tmp_path / "whole.jsonl")
    first = reproduced(whole, no_progress)
    assert [each.claim for each in first] == list(chosen(["masks"]).values())
    assert all((each.worlds, each.seeds) == (1, 2) for each in first)
    lines = whole.results.read_text().split("\n")
    assert len(lines) == 1 + 5  # the unedited clip once, two arms with two seeds each
    stopped = replace(asked, results=tmp_path / "stopped.jsonl")
    stopped.results.write_text("\n".join(lines[:3]) + "\n" + lines[3][:40])
    again = reproduced(stopped, no_progress)
    assert to_markdown(stopped, again, "c") == to_markdown(whole, first, "c")
    assert tally(first) == "Of 3 claims 0 hold, 0 fail, 3 are open (0 of these for want of what they need)."
    other = replace(whole, run=replace(asked.run, side=128))
    with pytest.raises(RequestError, match="name another file"):
        reproduced(other, no_progress)


def test_what_is_masked_is_the_sources_own_and_the_rest_is_edited(asked):
    free, masked = (Arm.of("gen1", case="place", masked=masks) for masks in (False, True))
    changes = [
        measured(asked.run, ArmItem(each, WORLD, 0))["unasked"]
        for each in (replace(SOURCE, case="place"), masked, free)
    ]
    assert changes[0] == 0
    assert changes[1] < 0.5 * changes[2]


def test_pictures_and_seeds_reach_the_edit(asked):
    context = open_context(EvalConfig(asked.run.model, "cpu", ()))
    world = held(context, 64, WORLD, "mixed")
    assert world.example.shape == (1, 3, 64, 64)
    assert world.measured(world.example.expand(8, -1, -1, -1))["likeness"] == pytest.approx(1, abs=1e-5)
    edits = [
        measured(asked.run, ArmItem(ours(content), WORLD, seed))
        for content, seed in (("words", 0), ("picture", 0), ("words", 1))
    ]
    assert len({figures["distance"] for figures in edits}) == 3
    assert torch.equal(world.clip.frames, world.asked.source)


def test_a_painted_arm_is_the_clip_under_paint(asked, monkeypatch):
    monkeypatch.setattr(arms, "PAINT_STEPS", 4)
    monkeypatch.setattr(arms, "FIT_PASSES", 1)
    painted, again, source = (measured(asked.run, ArmItem(arm, WORLD, 0)) for arm in (*[Arm("paint")] * 2, SOURCE))
    assert painted == again
    assert painted["distance"] != source["distance"]
    assert "evaluations" not in painted
    assert Arm("paint").label == "text2live"


def test_the_command_lists_its_claims_and_prints_verdicts(asked, tmp_path, capsys):
    flags = ["--model", asked.run.model, "--first", str(WORLD), "--claims", "masks-kept,trained", "--jobs", "1", "-q"]
    assert run(["reproduce", "1", *flags, "--dry-run"]) == 0
    assert "6 claims, 2 clips" in capsys.readouterr().out
    assert run(["reproduce", "1", *flags, "--quick", "--json", "--results", str(tmp_path / "kept.jsonl")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {each["answer"] for each in report["claims"]} == {"open"}
    assert report["head"]["worlds"].startswith("1000 to 1000")
    assert "--quick" in report["command"]
    assert run(["reproduce", "1", "--claims", "nothing"]) == 2
    assert "there is no claim or group of claims 'nothing'" in capsys.readouterr().err
