"""User studies: who sees what, whose answers count, strengths recovered, nothing lost, nothing given away."""

import csv
import json
import random
from collections import Counter
from itertools import combinations
from math import exp, log

import numpy as np
import pytest

from recast.cli.app import run
from recast.errors import MediaError, RequestError
from recast.evaluation.study.answers import StudyAnswer, add_answer, read_answers, read_crowd, write_crowd
from recast.evaluation.study.bradley_terry import PRIOR, strengths
from recast.evaluation.study.build import built, edits_of_folders
from recast.evaluation.study.plan import StudyConfig, StudyPair, StudyPlan, check_count, seats
from recast.evaluation.study.scores import majority, scored
from study_films import WAYS, study_made

STRENGTHS = {"a": 1.0, "b": 0.4, "c": -0.3, "d": -1.1}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return study_made(tmp_path_factory.mktemp("study"))


def plan_of(clips, raters, seed=0, per_rater=None):
    """A study of the ways in STRENGTHS, without films."""
    pairs = [
        StudyPair(f"{clip}-{a}{b}", f"clip {clip}", "words", a, b, "s", ("x", "y"))
        for clip in range(clips)
        for a, b in combinations(STRENGTHS, 2)
    ]
    checks = [StudyPair(f"check{n}", "", "grey", "", "", "s", ("x", "y"), check=True) for n in range(4)]
    config = StudyConfig(raters=raters, seed=seed, per_rater=per_rater)
    return StudyPlan("which", seed, raters, tuple(pairs + checks), seats([*pairs, *checks], config))


def rated(plan, rater, items, rng, *, careless=False):
    """The answers of a simulated rater, who chooses as Bradley and Terry say; a careless one presses anything."""
    for name, turned in items:
        pair = plan.pair(name)
        if careless:
            choice = rng.choice(("left", "same", "right"))
        else:
            gap = 9.0 if pair.check else STRENGTHS[pair.first] - STRENGTHS[pair.second]
            first = rng.random() < 1 / (1 + exp(-gap)) or pair.check
            choice = "left" if first != turned else "right"
        yield StudyAnswer(rater, name, choice, turned)


@pytest.mark.parametrize(("raters", "per_rater"), [(5, None), (4, 7), (1, 100)])
def test_each_pair_is_judged_so_often_on_both_sides_and_each_rater_meets_the_checks(raters, per_rater):
    plan = plan_of(5, raters, per_rater=per_rater)
    shown = [item for seat in plan.seats for item in seat.items]
    times = Counter(name for name, _ in shown if not plan.pair(name).check)
    assert set(times.values()) == {raters}
    assert len(times) == 30
    left = Counter(name for name, turned in shown if turned and not plan.pair(name).check)
    assert all(abs(2 * left[name] - raters) <= raters % 2 for name in times)
    for seat in plan.seats:
        names = [name for name, _ in seat.items]
        assert sum(plan.pair(name).check for name in names) == 4
        assert len(set(names)) == len(names) <= 4 + (per_rater or 30)
    orders = {tuple(name for name, _ in seat.items) for seat in plan.seats}
    assert len(orders) == len(plan.seats)
    assert plan_of(5, raters, per_rater=per_rater) == plan
    assert plan_of(5, raters, seed=1, per_rater=per_rater) != plan


def test_two_ways_have_the_strengths_of_their_wins():
    both = ~np.eye(2, dtype=bool)
    for won, lost in ((7, 3), (4, 4), (9, 0)):
        found = strengths(np.array([[0.0, won], [lost, 0.0]]), both)
        assert found[0] - found[1] == pytest.approx(log((won + PRIOR) / (lost + PRIOR)), abs=1e-9)


def test_strengths_are_those_of_hunters_iteration_and_of_wins_as_the_model_says():
    rng = np.random.default_rng(3)
    tables = rng.integers(0, 9, (4, 5, 5)).astype(float)
    compared = ~np.eye(5, dtype=bool)
    compared[0, 3] = compared[3, 0] = False  # these two met by way of others alone
    tables *= compared
    for table, found in zip(tables, strengths(tables, compared), strict=True):
        held, s = table + PRIOR * compared, np.ones(5)
        for _ in range(20_000):  # minorization-maximization (Hunter 2004, eq. 3)
            s = held.sum(1) / ((held + held.T) / (s[:, None] + s)).sum(1)
        assert found == pytest.approx(np.log(s) - np.log(s).mean(), abs=1e-6)
    known = np.array([0.7, 0.1, -0.8])
    wins = 1e6 / (1 + np.exp(known[None] - known[:, None])) * ~np.eye(3, dtype=bool)
    assert strengths(wins, ~np.eye(3, dtype=bool)) == pytest.approx(known, abs=1e-4)


def test_simulated_raters_give_their_strengths_back_and_the_careless_are_left_out():
    plan, rng = plan_of(40, 5), random.Random(2)
    careful = [answer for n, seat in enumerate(plan.seats, 1) for answer in rated(plan, f"rater {n}", seat.items, rng)]
    alone = scored(plan, careful)
    assert {way: figure.value for way, figure in alone.strengths.items()} == pytest.approx(STRENGTHS, abs=0.2)
    for way, figure in alone.strengths.items():
        assert figure.low - 0.1 < STRENGTHS[way] < figure.high + 0.1
    assert list(alone.strengths) == sorted(STRENGTHS, key=STRENGTHS.get, reverse=True)
    careless = [*rated(plan, "careless", plan.seats[0].items, rng, careless=True)]
    short = [answer for answer in rated(plan, "short", plan.seats[1].items, rng) if not answer.pair.startswith("c")]
    with_them = scored(plan, careful + careless + short)
    assert (with_them.duels, with_them.strengths) == (alone.duels, alone.strengths)
    why = {rater.name: rater.left_out for rater in with_them.raters if rater.left_out}
    assert set(why) == {"careless", "short"}
    assert "of 4 attention checks" in why["careless"]
    assert why["short"] == "met no attention check"


def test_majorities_ties_and_win_rates_are_counted_from_either_side():
    assert [majority(each) for each in ([1, 1, -1], [0, 0, 1], [1, -1, 0], [-1, -1, 1, 0, 0])] == [1, 1, 0, -1]
    plan = plan_of(3, 3)
    votes = {"0-ab": (1, 1, -1), "1-ab": (0, 0, 0), "2-ab": (-1, -1, 0)}
    answers = [
        StudyAnswer(f"r{n}", name, ("right", "same", "left")[vote + 1], False)
        for name, given in votes.items()
        for n, vote in enumerate(given)
    ]
    turned = [
        StudyAnswer(a.rater, a.pair, {"left": "right", "right": "left"}.get(a.choice, "same"), True) for a in answers
    ]
    checks = [StudyAnswer(f"r{n}", "check0", "left", False) for n in range(3)]
    for given in (answers, turned):
        found = scored(plan, given + checks)
        (duel,) = found.duels
        assert (duel.won, duel.tied, duel.lost) == (1, 1, 1)
        assert duel.rate.value == pytest.approx(0.5)
        assert duel.preferred.value == pytest.approx(np.mean([(1 + v) / 2 for each in votes.values() for v in each]))
        assert found.agreement == pytest.approx((1 + 3 + 1) / 9)
        assert found.thin == 18 - 3


def test_ways_that_never_met_have_no_strengths():
    pairs = [StudyPair(a + b, "clip", "words", a, b, "s", ("x", "y")) for a, b in ("ab", "cd")]
    checks = [StudyPair("check", "", "grey", "", "", "s", ("x", "y"), check=True)]
    plan = StudyPlan("which", 0, 1, (*pairs, *checks), seats([*pairs, *checks], StudyConfig(raters=1)))
    found = scored(plan, [StudyAnswer("r", each.name, "left", False) for each in plan.pairs])
    assert found.strengths == {}
    assert [duel.rate.value for duel in found.duels] == [1, 1]


def test_a_study_gives_away_nothing_of_what_made_its_clips(made):
    folder = made / "study"
    plan = StudyPlan.opened(folder)
    films = sorted((folder / "clips").iterdir())
    used = {name for pair in plan.pairs for name in (*pair.films, pair.source)}
    assert {path.stem for path in films} == used
    for path in films:
        held = path.read_bytes()
        assert not any(word.encode() in held for word in (*WAYS, "one.mp4", "two.mp4", str(made)))
    asked = [pair for pair in plan.pairs if not pair.check]
    assert Counter((pair.first, pair.second) for pair in asked) == dict.fromkeys(combinations(WAYS, 2), 2)
    assert len(plan.pairs) - len(asked) == check_count(6, None) == 3
    assert len({len(pair.name) for pair in plan.pairs}) == 1


def test_answers_outlive_kills_and_the_last_one_counts(tmp_path):
    first = [StudyAnswer("r", name, "left", True, 1.5) for name in "ab"]
    for answer in first:
        add_answer(tmp_path, answer)
    with (tmp_path / "answers.jsonl").open("a") as torn:
        torn.write('\n{"rater": "r", "pair": "c", "cho')
    assert read_answers(tmp_path) == first
    again = StudyAnswer("r", "a", "same", True)
    add_answer(tmp_path, again)
    assert read_answers(tmp_path) == [again, first[1]]


def test_a_crowds_answers_score_as_those_of_the_page(made, tmp_path, capsys):
    plan, table = StudyPlan.opened(made / "study"), tmp_path / "tasks.csv"
    assert run(["study", "export", str(made / "study"), "-o", str(table), "--base-url", "https://clips.test/a/"]) == 0
    tasks = list(csv.DictReader(table.read_text().splitlines()))
    assert len(tasks) == sum(len(seat.items) for seat in plan.seats)
    assert not any(way in table.read_text() for way in WAYS)
    rng = random.Random(1)
    page, crowd = [], ["WorkerId,Input.item,Answer.answer"]
    for task in tasks:
        name, turned = task["item"][:-1], task["item"].endswith("b")
        pair = plan.pair(name)
        left, right = (task[f"{side}_url"].rpartition("/")[2] for side in ("left", "right"))
        assert (f"{pair.films[turned]}.mp4", f"{pair.films[not turned]}.mp4") == (left, right)
        choice = ("right" if turned else "left") if pair.check else rng.choice(("left", "same", "right"))
        page.append(StudyAnswer(f"worker {task['seat']}", name, choice, turned))
        crowd.append(f"worker {task['seat']},{task['item']},{choice.title()}")
    answered = tmp_path / "answered.csv"
    answered.write_text("\n".join(crowd))
    assert scored(plan, read_crowd(plan, answered)) == scored(plan, page)
    capsys.readouterr()
    assert run(["study", "score", str(made / "study"), "--answers", str(answered), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["strengths"]) == 3
    assert run(["study", "score", str(made / "study"), "--answers", str(answered)]) == 0
    assert "3 of 3 raters count, 18 votes on 6 pairs" in capsys.readouterr().out
    for text, message in (("rater,item\na,b", "no column answer"), ("rater,item,answer\na,b,left", "has no pair")):
        answered.write_text(text)
        with pytest.raises(RequestError, match=message):
            read_crowd(plan, answered)
    assert write_crowd(plan, table, "x") == len(tasks)


def test_what_makes_no_study_is_refused(made, tmp_path):
    folders = {way: made / way for way in WAYS}
    edits = edits_of_folders(made / "list.csv", made / "sources", folders)
    for config, chosen, message in (
        (StudyConfig(against="way-gen2"), edits, "no way to edit in the study 'way-gen2'"),
        (StudyConfig(), edits[:1], "at least two ways"),
        (StudyConfig(), [edits[0], edits[4]], "no two ways"),
    ):
        with pytest.raises(RequestError, match=message):
            built(chosen, config, tmp_path / "none", lambda *_: None)
    with pytest.raises(RequestError, match="there is a study already"):
        built(edits, StudyConfig(), made / "study", lambda *_: None)
    (made / WAYS[0] / "two.mp4").rename(made / "elsewhere.mp4")
    try:
        with pytest.raises(RequestError, match=r"no edit two\.\*"):
            edits_of_folders(made / "list.csv", made / "sources", folders)
    finally:
        (made / "elsewhere.mp4").rename(made / WAYS[0] / "two.mp4")
    with pytest.raises(MediaError, match="make one by `recast study build`"):
        StudyPlan.opened(tmp_path)
    assert run(["study", "build", "-o", str(tmp_path / "x"), "--way", "a=b"]) == 2


def test_what_a_command_line_says_twice_or_not_at_all_is_refused(made, tmp_path, capsys):
    ways = [f"{way}={made / way}" for way in WAYS[:2]]
    base = ["study", "build", "-o", str(tmp_path / "x"), "--source", str(made / "sources"), "-q"]
    given = ["--prompts", str(made / "list.csv")]
    for more, message in (
        ([*given, "--way", ways[0], "--way", f"{WAYS[0]}={made / WAYS[1]}"], f"names {WAYS[0]} twice"),
        ([*given, "--way", ways[0], "--way", ways[1], "--question", " "], "asks nothing"),
    ):
        assert run([*base, *more]) == 2
        assert message in capsys.readouterr().err
    (tmp_path / "list.csv").write_text("clip,edit_prompt\none.mp4,\n")
    assert run([*base, "--prompts", str(tmp_path / "list.csv"), "--way", ways[0], "--way", ways[1]]) == 2
    assert "line 2 of the list has no edit_prompt" in capsys.readouterr().err
    second = made / WAYS[0] / "one.gif"
    second.write_bytes(b"")
    try:
        assert run([*base, *given, "--way", ways[0], "--way", ways[1]]) == 2
        assert "one.gif and one.mp4 are both the edit of one" in capsys.readouterr().err
    finally:
        second.unlink()
    assert not (tmp_path / "x").exists()
    assert run(["study", "export", str(made / "study"), "-o", str(tmp_path / "t.csv"), "--base-url", "clips"]) == 2
    assert "where raters' browsers find clips" in capsys.readouterr().err
