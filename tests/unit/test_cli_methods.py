"""`recast methods` says what methods are and cost; `recast compare --methods` edits a clip by several."""

import inspect
import json
import signal
from pathlib import Path
from statistics import median

import pytest

import recast
from recast.cli.app import run
from recast.editing.loaded import Model
from recast.evaluation.dry_run import dry_run
from recast.evaluation.metrics.cost import counted
from recast.methods import ALL_METHODS, METHODS
from recast.methods.pages import page
from tiny_folder import clip_folder, written


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(written(tmp_path_factory.mktemp("model")))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clip_folder(tmp_path / "clip")
    return tmp_path


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_page(method):
    printed = page(method)
    assert "arXiv:" in printed.paper
    assert printed.about
    assert all(knob.about for knob in printed.settings.values())


def test_methods_are_short():
    """A published method a file; what several of them do stands beside them, once (test_style.py)."""
    lines = [len(Path(inspect.getfile(method)).read_text().splitlines()) for method in METHODS.values()]
    assert len({inspect.getfile(method) for method in METHODS.values()}) == len(lines)
    assert max(lines) <= 150
    assert median(lines) < 90


def test_a_table_of_all_methods_and_the_page_of_one(model, capsys):
    assert run(["methods", "-m", model, "--steps", "2", "--frames", "3"]) == 0
    table, warned = capsys.readouterr()
    assert "warning" not in warned
    assert all(f"\n{name} " in table for name in METHODS)
    assert run(["methods", "flowalign", "-m", model, "--steps", "2"]) == 0
    printed = capsys.readouterr().out
    assert "FlowAlign, arXiv:2505.23145" in printed
    assert "terminal           0.3: Zeta" in printed
    assert run(["methods", "flowalin", "-m", model]) == 2
    assert "did you mean flowalign?" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:the walk back:recast.errors.RecastWarning")
@pytest.mark.parametrize("method", ["infedit", "fatezero", "rerender", "pix2video", "vid2vid-zero"])
def test_a_dry_run_counts_what_an_edit_counts(here, model, method):
    editor = recast.load(model)
    backbone, evaluations = counted(editor.model.backbone)
    object.__setattr__(editor.model, "backbone", backbone)
    described = {"source_prompt": "a ball"} if METHODS[method].needs_source else {}
    editor(here / "clip", prompt="snow", method=method, steps=2, **described)
    cost = dry_run(method, Model.loaded(model), frames=5, steps=2)
    assert not cost.refusal
    assert (cost.evaluations, cost.gradients) == (evaluations.count, evaluations.gradients)
    assert bool(cost.gradients) == (method in {"pix2video", "vid2vid-zero"})


@pytest.mark.filterwarnings("ignore:the walk back:recast.errors.RecastWarning")
def test_methods_side_by_side_with_one_that_refuses(here, model, capsys):
    asked = ("compare", "clip", "-p", "snow", "-m", model, "--steps", "2", "--set", "tail=0.5", "-q")
    assert run([*asked, "--methods", "flowedit,infedit", "-o", "both.png", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    edited, refused = shown["methods"]
    assert edited["evaluations"] > 0
    assert {"frames", "prompt"} <= edited["scores"].keys()
    assert "infedit has no knob 'tail'" in refused["refusal"]
    assert {path.name for path in here.iterdir()} == {"clip", "both.png", "both.mp4"}
    assert len(recast.open_clip("both.mp4").frames) == len(recast.open_clip("clip").frames)


@pytest.mark.usefixtures("here")
def test_what_all_methods_would_warn_of_is_said_once(model, capsys):
    asked = ("compare", "clip", "-p", "a zebra", "-m", model, "--steps", "1", "-q", "-o", "both.png")
    assert run([*asked, "--methods", "sdedit,sdedit-frames"]) == 0
    assert capsys.readouterr().err.count("does not know: zebra") == 1


class Stopped(METHODS["sdedit"]):
    """A method in whose middle the user presses Ctrl-C."""

    def __call__(self, inputs, backbone):
        signal.raise_signal(signal.SIGINT)
        return super().__call__(inputs, backbone)


def test_what_was_made_before_a_stop_is_there(here, model, capsys, monkeypatch):
    for table in (METHODS, ALL_METHODS):
        monkeypatch.setitem(table, "stopped", Stopped)
    asked = ["compare", "clip", "-p", "snow", "-m", model, "--steps", "2", "-q", "-o", "some.png", "--methods"]
    assert run([*asked, "stopped,gen1"]) == 130
    assert {path.name for path in here.iterdir()} == {"clip"}
    assert run([*asked, "gen1,stopped"]) == 130
    assert "stopped; some.png has 1 of 2 methods" in capsys.readouterr().err
    assert {path.name for path in here.iterdir()} == {"clip", "some.png", "some.mp4"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--methods", "infedit,magic", "-p", "snow"), "there is no method 'magic'"),
        (("--methods", "infedit", "-p", "snow", "--set", "tail=1"), "infedit has no knob 'tail'"),
        (("--methods", "infedit"), "nothing says what the clip should look like"),
        (("-p", "snow"), "--prompt is of an edit"),
        (("clip", "--methods", "infedit", "-p", "snow"), "--methods edits one clip"),
    ],
)
def test_what_cannot_be_compared_leaves_nothing(here, model, capsys, more, message):
    assert run(["compare", "clip", *more, "-m", model, "--steps", "2", "-q"]) == 2
    assert message in capsys.readouterr().err
    assert {path.name for path in here.iterdir()} == {"clip"}


def test_one_clip_alone_is_compared_with_nothing(here, capsys):
    assert run(["compare", "clip"]) == 2
    assert "there is one clip, and nothing to compare it with; say another, or --methods" in capsys.readouterr().err
    assert {path.name for path in here.iterdir()} == {"clip"}
