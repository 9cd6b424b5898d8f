"""`recast plan` counts what an edit does, and makes nothing."""

import json
from pathlib import Path

import pytest
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import recast
from recast.cli.app import run
from recast.editing.checks import treated
from recast.editing.edit import edit
from recast.editing.loaded import Model
from recast.editing.request import Request
from recast.editing.short_memory import APART, Attempt
from recast.engine.device import resident_bytes
from recast.evaluation.metrics.cost import counted
from recast.evaluation.room import needed_bytes, within
from recast.video.read import opened
from tiny_folder import clip_folder, written


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(written(tmp_path_factory.mktemp("model")))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clip_folder(tmp_path / "clip", frames=5)
    return tmp_path


def plan(capsys, model, *more):
    assert run(["plan", "clip", "-p", "snow", "-m", model, "--json", *more]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.filterwarnings("ignore::recast.errors.RecastWarning")
@pytest.mark.parametrize("method", ["gen1", "rave"])
def test_a_plan_counts_the_products_of_the_edit(here, model, capsys, method):
    editor, products = recast.load(model), []
    backbone, evaluations = counted(editor.model.backbone)
    asked = backbone.denoise_branches

    def watched(*given):
        # Fused attention of processors is left out by PyTorch's counter; as products it is counted, and takes the same.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            answers = asked(*given)
        products.append(counter.get_total_flops())
        return answers

    object.__setattr__(backbone, "denoise_branches", watched)
    object.__setattr__(editor.model, "backbone", backbone)
    editor(here / "clip", prompt="snow", method=method, steps=2, window=4)
    found = plan(capsys, model, "--method", method, "--steps", "2", "--window", "4")
    assert found["evaluations"] == evaluations.count
    assert found["flops"]["denoise"] == sum(products) > 0
    assert (found["frames"], found["segments"], found["shots"], found["window"]) == (5, [5], 1, 4)
    assert {path.name for path in here.iterdir()} == {"clip"}


@pytest.mark.usefixtures("here")
def test_a_long_clip_is_planned_segment_by_segment(model, capsys):
    long = plan(capsys, model, "--segment", "4", "--window", "2", "--steps", "2")
    assert long["segments"] == [4, 2]  # a frame is shared
    assert long["shots"] is None
    assert long["disk"]["job"] > 0
    short = plan(capsys, model, "--window", "2", "--steps", "2", "--cuts", "none")
    assert short["disk"]["job"] == 0
    assert short["memory"] > long["memory"]  # of a segment


@pytest.mark.usefixtures("here")
def test_a_plan_is_told_and_refused_as_an_edit_is(model, capsys):
    assert run(["plan", "clip", "-p", "snow", "-m", model, "--steps", "2"]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n{name} " in printed for name in ("frames", "shots", "segments", "time", "memory", "FLOPs", "disk"))
    assert run(["plan", "clip", "-m", model]) == 2
    assert "nothing says what the clip should look like" in capsys.readouterr().err
    assert run(["plan", "clip", "-p", "snow", "-m", model, "--method", "instruct-pix2pix"]) != 0
    assert "instruct-pix2pix cannot edit with" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_an_edit_that_is_given_less_memory_is_planned_and_made_with_less_at_once(model, capsys):
    """The least that is refused, in bytes of this process, lies below what each way needs."""
    request = Request.asked(source="clip", prompt="snow", model=model, steps=2, target="out.mp4")
    held = Model.loaded(model)
    source = treated(opened(request.source), request)
    whole = Attempt(request, held, why="vram is what is free")
    apart = whole.smaller(frames=5, least=4)
    as_asked, less = (needed_bytes(each, source) - resident_bytes() for each in (whole, apart))
    assert as_asked > less > 0
    assert within(request, held).notes == ()
    assert within(request.updated(vram="auto"), held).notes == ()
    room = (resident_bytes() + (as_asked + less) / 2) / 2**30
    fitted = within(request.updated(vram=room), held)
    assert not fitted.model.backbone.together
    assert fitted.notes == (f"vram is {room:g} GiB: {APART}",)
    made = edit(request, held, first=fitted)
    assert fitted.notes[0] in made.record.notes
    assert run(["edit", "clip", "-p", "snow", "-m", model, "--steps", "2", "--vram", "0.01", "-o", "no.mp4"]) == 4
    assert "GiB at the least and has 0.01; take a smaller --size" in capsys.readouterr().err
    assert not Path("no.mp4").exists()
    assert run(["plan", "clip", "-p", "snow", "-m", model, "--vram", "plenty"]) == 2
    assert "vram is 'plenty'" in capsys.readouterr().err
