"""What a report says of outcomes: figures, goals, trends and methods side by side."""

from dataclasses import replace

import pytest

from recast.evaluation.figures import gathered
from recast.evaluation.goals import judged
from recast.evaluation.items import Outcome, Variant
from recast.evaluation.report import Report
from recast.evaluation.tables import pairs

WORDS = Variant("words", 0.0, 1.0)
RIGHT = {"environment": 1.0, "look": 1.0, "outline": 0.5, "frames": 0.4, "pixels": 0.4, "warp": 3.0, "surface": 3.0}


def _outcomes():
    for number in range(4):
        source = {"frames": 0.8, "pixels": 0.8, "warp": 2.0} | ({"surface": 2.0} if number < 3 else {})
        figures = RIGHT | ({"environment": 0.0} if number == 3 else {})
        yield Outcome(f"edits {number}", Variant("source"), source)
        yield Outcome(f"edits {number}", WORDS, figures)


def test_a_report_counts_right_answers_and_pairs_with_the_source():
    report = Report.made([*_outcomes()], "recast evaluate", {}, {"worlds": "0 to 3"})
    figures, relative = report.measured.plain[WORDS], report.measured.relative[WORDS]
    assert figures["environment"].value == 0.75
    assert figures["environment"].count == 4
    assert "colour" not in figures
    assert relative["surface of source"].value == pytest.approx(1.5)
    assert relative["surface of source"].count == 3
    assert "warp of truth" not in relative
    text = report.to_markdown()
    assert (
        "| prompt | 0 | 75 % (30 % to 95 %, n 4) | 100 % (51 % to 100 %, n 4) |  | 0.50 (0.50 to 0.50, n 4) |" in text
    )
    assert text.startswith("Measured: worlds 0 to 3.")


def _many(values, trial=WORDS, name="frames"):
    return [Outcome(f"edits {number}", trial, {name: value}) for number, value in enumerate(values)]


def _goals(*outcomes):
    return {each.about: each for each in judged(gathered([one for group in outcomes for one in group]))}


def test_a_goal_is_met_or_missed_only_where_the_interval_says_so():
    look, environment = _goals(_many([1] * 99 + [0], name="look")), _goals(_many([0] * 20, name="environment"))
    assert look["words: look"].met == "met"
    assert look["words: look"].criterion == ">= 90 %"
    assert environment["words: environment"].met == "missed"
    # All right, but of four worlds alone.
    assert _goals(_outcomes())["words: look"].met == "open"
    # Means of few worlds have intervals that say nothing.
    assert _goals(_outcomes())["words: warp error on surfaces / source's"].met == "open"


@pytest.mark.parametrize(("gain", "met"), [(0.01, "met"), (-0.01, "missed"), (0.0, "missed")])
def test_a_trend_is_told_from_pairs(gain, met):
    # Worlds differ far more than guidance does; pairs do not see that.
    worlds = [0.1 * number for number in range(9)]
    swept = _many([value + gain for value in worlds], Variant("words", 0.0, 2.0))
    trend = _goals(_many(worlds), swept)["words: frame consistency by temporal guidance"]
    assert trend.met == met
    assert trend.reached == f"1: 0.400, 2: {0.4 + gain:.3f} (n 9)"


def test_what_temporal_guidance_changes_is_told_world_by_world():
    worlds = [0.1 * number for number in range(9)]
    swept = _many([value + 0.01 for value in worlds], Variant("words", 0.0, 2.0, steps=12))
    report = Report.made(_many(worlds, Variant("words", 0.0, 1.0, steps=12)) + swept, "recast evaluate", {}, {})
    assert "| 12 | 2 | +0.010 (+0.010 to +0.010, n 9) |" in report.to_markdown()


def test_a_trend_that_few_pairs_tell_is_open():
    swept = [Outcome("edits 2", Variant("words", 0.0, 2.0), RIGHT | {"frames": 0.41})]
    goals = _goals(_outcomes(), swept)
    assert goals["words: frame consistency by temporal guidance"].met == "open"
    assert "words: outline IoU by t_s" not in goals
    assert "a picture: look" not in goals


def test_each_number_of_steps_has_its_own_trend():
    trials = [Variant("words", 0.0, guidance, steps=steps) for steps in (4, 12) for guidance in (1.0, 2.0)]
    goals = _goals(*(_many([0.5 * (index + 1)] * 6, trial) for index, trial in enumerate(trials)))
    for steps in (4, 12):
        assert goals[f"words: frame consistency by temporal guidance, {steps} steps"].met == "met"
    assert "words: frame consistency by temporal guidance" not in goals


def test_methods_are_compared_on_the_worlds_that_both_have():
    other = replace(WORDS, method="sdedit")
    figures = gathered([*_many([0.1, 0.5, 0.9, 0.3]), *_many([0.2, 0.6, 1.0], other)])
    assert pairs(figures) == [(other, WORDS)]
    apart = figures.differences(other, WORDS)["frames"]
    assert (apart.low, apart.value, apart.high) == pytest.approx((0.1, 0.1, 0.1))
    assert apart.count == 3


def test_what_is_not_measured_is_no_goal():
    assert judged(gathered([])) == []


def test_methods_are_listed_by_joint_score_and_then_by_outline():
    shares = {None: [1, 0, 0, 0], "sdedit": [1, 1, 1, 0], "rave": [1, 0, 0, 0]}
    outlines = {None: 0.5, "sdedit": 0.1, "rave": 0.7}
    trials = {method: replace(WORDS, method=method) for method in shares}
    outcomes = [one for method, values in shares.items() for one in _many(values, trials[method], "joint")]
    outcomes += [one for method, value in outlines.items() for one in _many([value] * 4, trials[method], "outline")]
    outcomes[0] = replace(outcomes[0], seconds=2.0)
    report = Report.made(outcomes, "recast evaluate", {}, {"method": "gen1, sdedit, rave"})
    [table] = [grid for grid in report.grids if grid.title.startswith("Methods by joint score, mixed cases by prompt")]
    assert [row[0] for row in table.rows] == ["sdedit", "rave", "gen1"]
    assert table.rows[0][1].startswith("75 %")
    assert [row[table.headings.index("seconds")] for row in table.rows] == ["", "", "2.0 (n 1)"]
    alone = Report.made(_many([1, 0], name="joint"), "recast evaluate", {}, {"method": "gen1"})
    assert not [grid for grid in alone.grids if grid.title.startswith("Methods")]
