"""Which edits an evaluation tries: kinds of cases, and words alone for a model that reads no pictures."""

import json

import pytest

from recast.backbones.tiny import write_stable_diffusion
from recast.cli.app import run
from recast.cli.evaluate import _able
from recast.evaluation.suite import edits
from recast.methods import METHODS

pytestmark = pytest.mark.filterwarnings("ignore::recast.errors.RecastWarning")


def test_kinds_of_cases_can_be_chosen():
    place = edits([0, 4], methods=["sdedit"], cases=["place"], temporal=True)
    assert [(trial.case, trial.content, trial.method) for trial in place] == [
        ("place", "words", None),
        ("place", "words", "sdedit"),
    ]
    assert {trial.case for trial in edits([0], cases=["mixed"])} == {"mixed"}
    assert set(edits([0], cases=["mixed"])) < set(edits([0]))


def test_a_model_of_words_is_measured_by_words_alone(tmp_path, capsys):
    folder = write_stable_diffusion(tmp_path / "model", depth=True)
    flags = (
        "1 --worlds --first 1000 --details 0 --cases mixed --methods gen1,pix2video --set steps=1 --jobs 1 -q --json"
    )
    assert run(["evaluate", *flags.split(), "--model", str(folder)]) == 0
    output = json.loads(capsys.readouterr().out)
    assert "--cases mixed" in output["command"]
    found = {(each["content"], each["method"]) for each in output["measured"] if each["detail"] is not None}
    assert found == {("words", None), ("words", "pix2video")}


def test_unknown_kinds_of_cases_are_refused(capsys):
    assert run(["evaluate", "1", "--worlds", "--cases", "mixed,all"]) == 2
    assert "mixed, place, colour" in capsys.readouterr().err


def test_all_methods_are_those_that_the_model_can_its_own_first():
    able = _able("pocket-words")
    assert able[0] == "flowedit"
    assert set(able) == METHODS.keys() - {"anyv2v", "instruct-pix2pix", "instruct-vid2vid", "make-a-protagonist"}
