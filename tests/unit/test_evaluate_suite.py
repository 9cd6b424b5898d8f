"""A whole evaluation of a tiny model: what is tried, kept and told."""

import json

import pytest
import torch
from PIL import Image

import tiny_folder
from recast.cli.app import run
from recast.editing.stages import unwatched
from recast.errors import MediaError, RequestError
from recast.evaluation import METRICS
from recast.evaluation.figures import gathered
from recast.evaluation.goals import judged
from recast.evaluation.items import SWEPT, EvalConfig, EvalItem, Outcome, Variant, open_context
from recast.evaluation.metrics.fidelity import masked
from recast.evaluation.report import Report
from recast.evaluation.suite import Suite, edits, evaluated, footage_tasks, world_tasks
from tiny_folder import clip_folder

# The tiny model knows few words, and worlds are described by others.
pytestmark = pytest.mark.filterwarnings("ignore::recast.errors.RecastWarning")

FEW = (("steps", 1),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        # Its tokens are letters, and worlds are described by many of them.
        patch.setattr(tiny_folder, "PLACES", 80)
        return tiny_folder.written(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def setting(folder):
    return EvalConfig(str(folder), "cpu", edits([0, 2.5]), FEW)


@pytest.fixture(scope="module")
def outcomes(setting):
    return evaluated(Suite(setting, world_tasks(2)), unwatched)


def test_each_world_is_edited_by_words_at_each_detail_and_by_a_picture_at_the_first(outcomes):
    edited = [Variant("words", 0.0, 1.0), Variant("words", 2.5, 1.0), Variant("picture", 0.0, 1.0)]
    for trial in [*edited, Variant("truth"), Variant("decoded"), Variant("source"), Variant("worlds")]:
        assert sum(outcome.trial == trial for outcome in outcomes) == 2
    assert {name for outcome in outcomes for name in outcome.figures} == METRICS.keys() - {"nearer", "nearest"}


def test_temporal_guidance_adds_its_values_once():
    tried = edits([0, 4], temporal=True)
    assert len(tried) == len(set(tried)) == 2 + 1 + 4
    assert {trial.temporal_guidance for trial in tried if trial.detail == 0} == {0, 0.5, 1, 1.5, 2}
    assert edits([], temporal=True) == ()


def test_temporal_guidance_is_swept_on_one_world_of_some(setting):
    swept = EvalConfig(setting.model, "cpu", (Variant("words", 0.0, 1.0), Variant("words", 0.0, 2.0)), FEW)
    told = [evaluated(Suite(swept, (EvalItem("edits", str(number)),)), unwatched) for number in (SWEPT, SWEPT + 1)]
    assert [sum(outcome.trial.content == "words" for outcome in each) for each in told] == [2, 1]


def test_true_depth_is_told_instead(setting):
    told = EvalConfig(setting.model, "cpu", edits([0])[:1], FEW, true_depth=True)
    seen = EvalConfig(setting.model, "cpu", edits([0])[:1], FEW)
    first, second = (evaluated(Suite(each, world_tasks(1)[1:]), unwatched) for each in (told, seen))
    assert [one.figures == other.figures for one, other in zip(first, second, strict=True)] == [True, True, True, False]


@pytest.mark.parametrize("said", [("steps", 2), ("cfg", 1.0), ("method", "sdedit"), ("strength", 0.0)])
def test_any_way_to_denoise_can_be_evaluated(setting, outcomes, said):
    other = EvalConfig(setting.model, "cpu", edits([0])[:1], tuple((dict(FEW) | dict([said])).items()))
    (told,) = (one for one in evaluated(Suite(other, world_tasks(1)[1:]), unwatched) if one.trial == WORDS)
    assert told.figures != next(one.figures for one in outcomes if (one.task, one.trial) == ("edits 0", WORDS))


def test_what_trials_say_themselves_cannot_be_set(setting):
    for name in ("seed", "prompt", "temporal_guidance", "structure_detail"):
        with pytest.raises(RequestError, match=f"no setting of an evaluation '{name}'"):
            EvalConfig(setting.model, "cpu", (), ((name, 1),))
    with pytest.raises(RequestError, match="steps is 0"):
        EvalConfig(setting.model, "cpu", (), (("steps", 0),))


def test_a_stopped_run_goes_on_where_it_was(setting, outcomes, tmp_path):
    kept, asked = tmp_path / "results.jsonl", []
    first = Suite(setting, world_tasks(1), results=kept)
    evaluated(first, unwatched)
    kept.write_text(kept.read_text() + '\n{"task": "edits 1", "outco')  # killed while it wrote

    def watch(_stage, done, total):
        asked.append((done, total))

    assert evaluated(Suite(setting, world_tasks(2), results=kept), watch) == outcomes
    assert asked == [(0, 2), (1, 2), (2, 2)]
    assert evaluated(Suite(setting, world_tasks(2), results=kept), watch) == outcomes
    assert asked[3:] == [(0, 0)]


def test_results_of_another_setting_are_refused(setting, tmp_path):
    kept = tmp_path / "results.jsonl"
    kept.write_text('{"model": "another"}')
    with pytest.raises(RequestError, match="another"):
        evaluated(Suite(setting, world_tasks(1), results=kept), unwatched)


@pytest.mark.slow
def test_processes_tell_the_same(setting, outcomes):
    assert evaluated(Suite(setting, world_tasks(2), jobs=2), unwatched) == outcomes


def test_footage_is_found_and_measured(setting, tmp_path):
    clip_folder(tmp_path / "frames" / "square" / "images", frames=3)
    _masks(tmp_path / "frames" / "square" / "masks", frames=3)
    (tmp_path / "frames" / "unmasked" / "images").mkdir(parents=True)
    (task,) = footage_tasks(tmp_path)
    assert task.name == "masks square"
    (outcome,) = evaluated(Suite(setting, (task,)), unwatched)
    assert outcome.figures.keys() == {"nearer", "nearest"}
    assert all(0 <= value <= 1 for value in outcome.figures.values())


def test_empty_masks_tell_nothing(setting, tmp_path):
    clip_folder(tmp_path / "images", frames=2)
    _masks(tmp_path / "masks", frames=2, side=0)
    assert masked(tmp_path, open_context(setting).model) == {}


def test_masks_of_other_pictures_tell_nothing(setting, tmp_path):
    clip_folder(tmp_path / "images", frames=1)
    _masks(tmp_path / "masks", frames=1)
    (mask,) = (tmp_path / "masks").iterdir()
    mask.rename(mask.with_stem("other"))
    assert masked(tmp_path, open_context(setting).model) == {}


def _masks(path, *, frames, side=16):
    path.mkdir(parents=True)
    for index in range(frames):
        mask = torch.zeros(40, 52, dtype=torch.uint8)
        mask[10 : 10 + side, 8 + 3 * index : 8 + 3 * index + side] = 255
        Image.fromarray(mask.numpy()).save(path / f"{index:03d}.png")


def test_no_footage_is_said_so(tmp_path):
    with pytest.raises(MediaError, match=r"clips/.*frames/"):
        footage_tasks(tmp_path)


WORDS = Variant("words", 0.0, 1.0)
RIGHT = {"environment": 1.0, "look": 1.0, "outline": 0.5, "frames": 0.4, "pixels": 0.4, "warp": 3.0, "surface": 3.0}


def _told():
    for number in range(4):
        source = {"frames": 0.8, "pixels": 0.8, "warp": 2.0} | ({"surface": 2.0} if number < 3 else {})
        figures = RIGHT | ({"environment": 0.0} if number == 3 else {})
        yield Outcome(f"edits {number}", Variant("source"), source)
        yield Outcome(f"edits {number}", WORDS, figures)


def test_a_report_counts_right_answers_and_pairs_with_the_source():
    report = Report.made([*_told()], "recast evaluate", {})
    figures, relative = report.measured.plain[WORDS], report.measured.relative[WORDS]
    assert figures["environment"].value == 0.75
    assert figures["environment"].count == 4
    assert "colour" not in figures
    assert relative["surface of source"].value == pytest.approx(1.5)
    assert relative["surface of source"].count == 3
    assert "warp of truth" not in relative
    assert (
        "| words | 0 | 75 % (30 % to 95 %) | 100 % (51 % to 100 %) |  | 0.50 (0.50 to 0.50) |" in report.to_markdown()
    )


def test_a_report_says_which_goals_are_met():
    # Temporal guidance was swept on one world alone, which is compared with itself.
    swept = [Outcome("edits 2", Variant("words", 0.0, 2.0), RIGHT | {"frames": 0.41, "pixels": 0.41, "warp": 2.9})]
    told = {each.about: each for each in judged(gathered([*_told(), *swept]))}
    assert told["words: look"].met == "yes"
    assert told["words: environment"].met == "no"
    assert told["words: environment"].said == ">= 90 %"
    assert told["words: warp error on surfaces / source's"].met == "yes"
    assert told["words: frame consistency by temporal guidance"].reached == "1: 0.400, 2: 0.410"
    assert told["words: frame consistency by temporal guidance"].met == "yes"
    assert told["words: warp error by temporal guidance"].met == "yes"
    assert "words: outline IoU by t_s" not in told
    assert "a picture: look" not in told


def test_what_is_not_measured_is_no_goal():
    assert judged(gathered([])) == []


def _evaluate(folder):
    return f"evaluate --worlds 1 --model {folder} --details 1 --set steps=1 --jobs 1 -q".split()


def test_the_command_tells_json(folder, capsys):
    asked = _evaluate(folder)
    assert run([*asked, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["command"].startswith("recast evaluate --worlds 1 --details 1 --model ")
    assert told["command"].endswith(" --set steps=1")
    assert {each["content"] for each in told["measured"]} == {
        "source",
        "truth",
        "decoded",
        "words",
        "picture",
        "worlds",
    }


def test_the_command_tells_tables(folder, tmp_path, capsys):
    asked = _evaluate(folder)
    asked += ["--results", str(tmp_path / "results.jsonl")]
    assert run([*asked, "--markdown"]) == 0
    assert "| words | 1 |" in capsys.readouterr().out
    assert run(asked) == 0
    assert "outline IoU" in capsys.readouterr().out


def test_worlds_can_be_measured_without_edits(folder, capsys):
    asked = ["evaluate", "--worlds", "1", "--details", "none", "--model", str(folder), "--jobs", "1", "-q", "--json"]
    assert run(asked) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["command"].startswith("recast evaluate --worlds 1 --details none")
    assert {each["content"] for each in told["measured"]} == {"source", "truth", "decoded", "worlds"}


@pytest.mark.parametrize(
    ("flags", "says"),
    [([], "--worlds"), (["--worlds", "--details", "9"], "0..7"), (["--footage", "nowhere"], "clips/")],
)
def test_what_cannot_be_measured_is_refused(folder, flags, says, capsys):
    assert run(["evaluate", "--model", str(folder), *flags]) == 2
    assert says in capsys.readouterr().err
