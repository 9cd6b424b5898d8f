"""A whole evaluation of a tiny model: what is tried, kept and told."""

import json
from dataclasses import replace

import pytest

import tiny_folder
from recast.cli.app import run
from recast.editing.knob_names import knobs_of
from recast.editing.progress import no_progress
from recast.errors import RequestError
from recast.evaluation import JUDGED
from recast.evaluation.items import EDITED, SWEPT, EvalConfig, EvalItem, Variant, open_context
from recast.evaluation.metrics.joint import Bars
from recast.evaluation.suite import RANGES, Suite, edits, evaluated, world_tasks
from recast.evaluation.trials import AskedEdit, tried

# The tiny model knows few words, and worlds are described by others.
pytestmark = pytest.mark.filterwarnings("ignore::recast.errors.RecastWarning")

FEW = (("steps", 1), ("method", "gen1"))
WORDS = Variant("words", 0.0, 1.0)
TASKS = (*world_tasks(1, 1000), EvalItem("edits", "1001"))
REFERENCES = {"source", "truth", "decoded"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        # Its tokens are letters, and worlds are described by many of them.
        patch.setattr(tiny_folder, "PLACES", 80)
        return tiny_folder.written(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def setting(folder):
    trials = edits([0.0, 2.5], temporal=True, steps=[2], methods=["sdedit"])
    return EvalConfig(str(folder), "cpu", trials, FEW)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("results") / "results.jsonl"


@pytest.fixture(scope="module")
def outcomes(setting, kept):
    """The one run that most tests look at; what it found is kept, so that commands that ask for the same are quick."""
    return evaluated(Suite(setting, TASKS, results=kept), no_progress)


@pytest.fixture(scope="module")
def asked(setting):
    return AskedEdit.of(1001, "mixed", open_context(setting))


def _of(outcomes, task):
    return {outcome.trial: outcome for outcome in outcomes if outcome.task == task}


def test_each_world_is_edited_by_words_at_each_detail_and_by_a_picture_at_the_first(outcomes):
    by_variant = _of(outcomes, "edits 1001")
    edited = {WORDS, Variant("words", 2.5, 1.0), Variant("picture", 0.0, 1.0), replace(WORDS, method="sdedit")}
    assert by_variant.keys() == edited | {Variant(name) for name in (*REFERENCES, "grey", "noise")}
    assert _of(outcomes, "worlds 1000").keys() == {Variant("worlds")}
    measured = {name for outcome in outcomes for name in outcome.figures}
    measured_besides = {"frames", "pixels", "warp", "prompt", "sharpness"}
    assert measured == JUDGED.keys() - {"likeness", "nearer", "nearest"} | measured_besides


@pytest.mark.parametrize("kind", ["place", "colour"])
def test_a_place_or_a_colour_alone_is_edited_by_each_method(outcomes, kind):
    by_variant = _of(outcomes, f"{kind} 1000")
    words = replace(WORDS, case=kind)
    references = {Variant(name, case=kind) for name in REFERENCES}
    assert by_variant.keys() == references | {words, replace(words, method="sdedit")}
    assert by_variant[Variant("source", case=kind)].figures["unasked"] == 0
    assert by_variant[Variant("truth", case=kind)].figures["distance"] == 0
    assert by_variant[words].figures["unasked"] > 0


def test_floors_win_nothing(outcomes):
    for task in ("edits 1000", "edits 1001"):
        by_variant = _of(outcomes, task)
        assert [by_variant[Variant(name)].figures["joint"] for name in ("source", "grey", "noise")] == [0, 0, 0]


def test_evaluations_and_seconds_of_an_edit_are_counted(outcomes):
    by_variant = _of(outcomes, "edits 1000")
    # Two branches of guidance; windows of 4 of 8 frames that overlap by a half are three.
    assert by_variant[WORDS].figures["evaluations"] == 2 * 3
    assert by_variant[replace(WORDS, steps=2)].figures["evaluations"] == 2 * 2 * 3
    assert by_variant[WORDS].seconds > 0
    assert by_variant[Variant("truth")].seconds is None


def test_temporal_guidance_is_swept_on_one_world_of_some(outcomes):
    swept = [sum(trial.is_swept for trial in _of(outcomes, f"edits {number}")) for number in (1000, 1001)]
    assert [1000 % SWEPT, 1001 % SWEPT] == [0, 1]
    assert swept == [5, 0]
    assert 100 // SWEPT >= 36


def test_true_depth_is_told_instead(setting, outcomes, asked):
    deep = EvalConfig(setting.model, "cpu", (WORDS,), FEW, true_depth=True)
    assert _edit(asked, deep) != _shared(outcomes)
    assert _edit(asked, replace(deep, true_depth=False)) == _shared(outcomes)


@pytest.mark.parametrize("another", [("cfg", 1.0), ("method", "sdedit"), ("strength", 0.0)])
def test_any_way_to_denoise_can_be_evaluated(setting, outcomes, asked, another):
    other = EvalConfig(setting.model, "cpu", (WORDS,), tuple((dict(FEW) | dict([another])).items()))
    assert _edit(asked, other) != _shared(outcomes)


def _edit(asked, setting):
    """The measures of the setting's one edit of a case that the shared run has too."""
    shown = replace(asked, context=replace(asked.context, setting=setting))
    ((_, figures, _),) = tried(shown, Bars(0, 0), setting.edits)
    return {name: figures[name] for name in ("frames", "warp", "distance")}


def _shared(outcomes):
    figures = _of(outcomes, "edits 1001")[WORDS].figures
    return {name: figures[name] for name in ("frames", "warp", "distance")}


def test_a_methods_own_knobs_are_not_told_to_another(setting):
    compared = EvalConfig(setting.model, "cpu", setting.edits, (*FEW, ("overlap", 0.25)))
    averaged = replace(compared, settings=(("method", "gen1"), ("ensemble", 2)))
    given = [averaged.asked(replace(WORDS, method=name)).get("ensemble") for name in ("gen1", "flowedit")]
    assert (given, compared.asked(WORDS)["overlap"]) == ([2, None], 0.25)
    assert ("overlap" in compared.asked(replace(WORDS, method="sdedit"))) == ("overlap" in knobs_of("sdedit"))
    with pytest.raises(RequestError, match="method"):
        EvalConfig(setting.model, "cpu", (replace(WORDS, method="magic"),))


def test_what_trials_say_themselves_cannot_be_set(setting):
    for name in ("seed", "prompt", "temporal_guidance", "structure_detail"):
        with pytest.raises(RequestError, match=f"no setting of an evaluation '{name}'"):
            EvalConfig(setting.model, "cpu", (), ((name, 1),))
    with pytest.raises(RequestError, match="steps is 0"):
        EvalConfig(setting.model, "cpu", (), (("steps", 0),))


def test_a_stopped_run_goes_on_where_it_was(setting, outcomes, kept, tmp_path):
    here, asked = tmp_path / "results.jsonl", []
    first, *rows = kept.read_text().split("\n")
    whole = [row for row in rows if '"worlds 1000"' not in row]
    here.write_text("\n".join([first, *whole, '{"task": "worlds 1000", "outco']))  # killed while it wrote

    def watch(_stage, done, total):
        asked.append((done, total))

    assert evaluated(Suite(setting, TASKS, results=here), watch) == outcomes
    assert asked == [(0, 1), (1, 1)]
    again = evaluated(Suite(setting, TASKS, results=here), watch)
    assert again == outcomes
    assert asked[2:] == [(0, 0)]
    # Seconds are kept with the rest, though they are no part of what an outcome is.
    assert [one.seconds for one in again] == [one.seconds for one in outcomes]


def test_a_wider_range_and_more_edits_go_on_from_what_is_there(setting, outcomes, kept, tmp_path):
    assert evaluated(Suite(setting, TASKS[:1], results=kept), no_progress) == outcomes[:1]
    first, *rows = kept.read_text().split("\n")
    before = [json.loads(row) for row in rows]
    for row in before:
        row["outcomes"] = [one for one in row["outcomes"] if "method" not in one["trial"]]
    here, added = tmp_path / "results.jsonl", []
    here.write_text("\n".join([first, *map(json.dumps, before)]))
    again = evaluated(Suite(setting, TASKS, results=here), lambda _, done, total: added.append((done, total)))
    assert again == outcomes
    lacked = {one.task for one in outcomes if one.trial.method == "sdedit"}
    assert added == [(done, len(lacked)) for done in range(len(lacked) + 1)]
    last = [json.loads(row)["outcomes"] for row in here.read_text().split("\n")[-len(lacked) :]]
    tried_anew = [one["trial"]["method"] for row in last for one in row if one["trial"]["content"] in EDITED]
    assert tried_anew == ["sdedit"] * len(lacked)


def test_results_of_another_anotherare_refused(setting, tmp_path):
    kept = tmp_path / "results.jsonl"
    kept.write_text('{"model": "another"}')
    with pytest.raises(RequestError, match="another"):
        evaluated(Suite(setting, world_tasks(1), results=kept), no_progress)


@pytest.mark.slow
def test_processes_tell_the_same(setting, outcomes):
    assert evaluated(Suite(setting, TASKS, jobs=2), no_progress) == outcomes


def _evaluate(folder, kept):
    asked = f"evaluate 1 --worlds --first 1000 --model {folder} --details 0,2.5 --temporal --temporal-steps 2 -q"
    return [*f"{asked} --methods gen1,sdedit --set steps=1 --jobs 1".split(), "--results", str(kept)]


@pytest.mark.usefixtures("outcomes")
def test_the_command_tells_json(folder, kept, capsys):
    assert run([*_evaluate(folder, kept), "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert output["command"].startswith("recast evaluate --worlds 1 --details 0,2.5 --first 1000 --temporal --temp")
    assert output["command"].endswith(" --set steps=1")
    assert "--methods gen1,sdedit" in output["command"]
    assert output["head"]["worlds"] == f"1000 to 1000; {RANGES}"
    assert output["head"]["method"] == "gen1, sdedit"
    contents = {each["content"] for each in output["measured"]}
    assert contents == REFERENCES | {"grey", "noise", "words", "picture", "worlds"}
    assert {(each["method"], each["case"]) for each in output["compared"]} == {
        ("sdedit", case) for case in ("mixed", "place", "colour")
    }
    assert all(each["differences"]["frames"]["count"] == 1 for each in output["compared"])


@pytest.mark.usefixtures("outcomes")
def test_the_command_tells_tables(folder, kept, capsys):
    assert run([*_evaluate(folder, kept), "--markdown"]) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"Measured: worlds 1000 to 1000; {RANGES}; method gen1, sdedit; model ")
    for row in ("| prompt | 2.5 |", "| prompt | 2 | 0.5 |", "| flat grey |", "| prompt | sdedit |", "| seconds |"):
        assert row in output
    assert run(_evaluate(folder, kept)) == 0
    assert "outline IoU" in capsys.readouterr().out


def test_worlds_can_be_measured_without_edits(folder, capsys):
    asked = f"evaluate 1 --worlds --first 1000 --details none --model {folder} --jobs 1 -q --json".split()
    assert run(asked) == 0
    output = json.loads(capsys.readouterr().out)
    assert output["command"].startswith("recast evaluate --worlds 1 --details none --first 1000")
    assert {each["content"] for each in output["measured"]} == REFERENCES | {"grey", "noise", "worlds"}


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ([], "--worlds"),
        (["--worlds", "--details", "9"], r"0..7"),
        (["--worlds", "--temporal", "--temporal-steps", "a"], "--temporal-steps is 'a'"),
        (["--worlds", "--temporal-steps", "4"], "write --temporal too"),
        (["--worlds", "--methods", "gen1,magic"], "magic"),
        (["--footage", "nowhere"], "clips/"),
    ],
)
def test_what_cannot_be_measured_is_refused(folder, flags, says, capsys):
    assert run(["evaluate", "--model", str(folder), *flags]) == 2
    assert says in capsys.readouterr().err
