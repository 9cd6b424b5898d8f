"""What a request comes to: the model's own where it says nothing, and what is refused before anything slow."""

import dataclasses
import re
from fractions import Fraction

import pytest
import torch

from recast.editing.checks import check_target
from recast.editing.knob_names import knobs_of
from recast.editing.loaded import Model
from recast.editing.model_defaults import spacing_note
from recast.editing.prepared import prepare
from recast.editing.request import Request
from recast.editing.resolve import chosen_size, enlargement, resolve
from recast.editing.stages import generate
from recast.errors import MediaError, RecastWarning, RequestError
from recast.types import Clip
from recast.video.read import opened
from tiny_folder import clip_folder, written

OWN = {"flowedit": {"steps": 8, "cfg": 3.0, "strength": 0.875, "residual": 0.5}}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Model.loaded(str(written(tmp_path_factory.mktemp("model"))))


@pytest.fixture
def source(tmp_path):
    return clip_folder(tmp_path / "source", frames=2, size=(40, 52))


@pytest.fixture
def request_(source, tmp_path):
    return Request.asked(source=source, target=tmp_path / "out", prompt="a red ball", steps=2)


def having(model, **facts):
    """The model with other metadata."""
    metadata = dataclasses.replace(model.folder.metadata, **facts)
    return dataclasses.replace(model, folder=dataclasses.replace(model.folder, metadata=metadata))


def test_the_request_comes_first_then_the_models_own_for_the_method_then_the_models_then_the_methods(request_, model):
    source, preferring = (
        opened(request_.source),
        having(model, ensemble=4, method="flowedit", method_defaults=OWN),
    )
    own = resolve(request_.updated(steps=None), preferring, source)
    assert (own.request.method, own.steps, own.cfg_scale, own.ensemble) == ("flowedit", 8, 3.0, 1)
    assert own.facts["knobs"] == knobs_of("flowedit") | {"strength": 0.875, "residual": 0.5}
    chosen = resolve(request_.updated(steps=3, cfg=1.5, residual=0.25), preferring, source)
    assert (chosen.steps, chosen.cfg_scale) == (3, 1.5)
    assert chosen.facts["knobs"] == own.facts["knobs"] | {"residual": 0.25}
    other = resolve(request_.updated(steps=None, method="gen1"), preferring, source)
    assert (other.steps, other.cfg_scale, other.ensemble) == (25, 2.0, 4)
    assert other.facts["knobs"] == knobs_of("gen1")
    assert resolve(request_.updated(method="gen1", ensemble=2), preferring, source).ensemble == 2


def test_what_was_resolved_resolves_to_itself(request_, model):
    source, preferring = opened(request_.source), having(model, method="flowedit", method_defaults=OWN)
    first = resolve(request_, preferring, source)
    assert resolve(first.request, preferring, source).facts == first.facts


@pytest.mark.parametrize(
    ("facts", "window"),
    [({}, 16), ({"frames": 8}, 8), ({"window": 12}, 12), ({"frames": 8, "window": 12}, 12), ({"frames": 40}, 16)],
)
def test_windows_are_no_longer_than_what_was_trained(request_, model, facts, window):
    trained = having(model, **{"window": None} | facts)
    assert model.backbone.max_frames == 16
    assert resolve(request_, trained, opened(request_.source)).window == window
    assert resolve(request_.updated(window=3), trained, opened(request_.source)).window == 3


def test_a_longer_window_is_taken_with_a_warning_and_refused_where_there_are_no_places(request_, model):
    source, trained = opened(request_.source), having(model, window=None, frames=8)
    with pytest.warns(RecastWarning, match="learned from clips of 8 frames; in a window of 12 it guesses"):
        assert resolve(request_.updated(window=12), trained, source).window == 12
    with pytest.raises(RequestError, match=r"window is 17 frames and .* has places for 16; say 16 or less"):
        resolve(request_.updated(window=17), trained, source)


def test_a_window_is_what_the_network_sees_at_once(model, tmp_path):
    request = Request.asked(source=clip_folder(tmp_path / "clip"), prompt="a red ball", steps=1)
    frames = []
    for window in (2, 5):
        resolved = resolve(request.updated(window=window), model, opened(request.source))
        assert resolved.facts["window"] == window
        frames.append(generate(resolved, prepare(resolved, model), model).frames)
    assert not torch.equal(*frames)


@pytest.mark.parametrize(
    ("fps", "note"),
    [
        (10, None),
        (5, None),
        (20, None),
        (60, "60 frames a second .* 10: .* less from frame to frame .0.17 times"),
        (Fraction(4), "4 frames a second .* more from frame to frame .2.5 times"),
    ],
)
def test_frames_far_denser_or_sparser_than_in_training_are_noted(model, fps, note):
    clip = Clip(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), Fraction(fps))
    assert spacing_note(clip, having(model, fps=None)) == ()
    assert spacing_note(dataclasses.replace(clip, frames=clip.frames[:1]), having(model, fps=10.0)) == ()
    notes = spacing_note(clip, having(model, fps=10.0))
    assert re.search(note, notes[0]) if note else notes == ()


def test_the_record_keeps_the_note(request_, model):
    trained, source = having(model, fps=1.0), opened(request_.source)
    resolved = resolve(request_, trained, source)
    prepared = prepare(resolved, trained)
    assert generate(resolved, prepared, trained).record.notes == source.notes + spacing_note(prepared.clip, trained)


def test_a_mask_that_is_not_there_is_refused_before_the_clip_is_read(request_, model, tmp_path):
    with pytest.raises(MediaError, match="there is no mask"):
        resolve(request_.updated(mask=tmp_path / "none.png"), model, opened(request_.source))


@pytest.mark.parametrize(("detail", "strength"), [(0, 1.0), (3.5, 0.5), (7, 0.0)])
def test_outlines_are_drawn_the_less_the_less_of_them_was_asked_for(detail, strength):
    assert enlargement(Request.asked(structure_detail=detail)) == strength
    assert enlargement(Request.asked(structure_detail=detail, enlarge="plain")) == 0


def test_sizes_that_the_model_cannot_take(request_, model):
    held = Clip(torch.zeros(1, 3, 40, 52, dtype=torch.uint8), opened(request_.source).fps)
    assert chosen_size(request_.updated(size="48x64"), held, model) == (64, 48)
    assert chosen_size(request_.updated(size=64), held, model) == (64, 80)
    with pytest.raises(RequestError, match="size 100x70: pocket takes sides that are multiples of 8, such as 96x72"):
        chosen_size(request_.updated(size="100x70"), held, dataclasses.replace(model, name="pocket"))


def test_targets_that_may_not_be_written(request_, tmp_path):
    for target, message in {
        None: "has no target",
        request_.source: "is the source itself",
        tmp_path / "no" / "out.mp4": "there is no folder",
        tmp_path / "out.xyz": "does not write .xyz",
    }.items():
        with pytest.raises(RequestError, match=message):
            check_target(dataclasses.replace(request_, target=target))
    (tmp_path / "there.mp4").touch()
    there = dataclasses.replace(request_, target=tmp_path / "there.mp4")
    with pytest.raises(RequestError, match="is already there; replace it with -y"):
        check_target(there)
    assert check_target(dataclasses.replace(there, overwrite=True)) == there.target
