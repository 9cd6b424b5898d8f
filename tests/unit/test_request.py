"""The request: what is asked comes back the same, and what cannot be is refused in one line."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast.cli.flags import FLAGS, parsed
from recast.cli.generate import GENERATE_FLAGS
from recast.denoising import DenoiseInputs
from recast.editing.knob_names import knobs_of
from recast.editing.request import ALSO_CALLED, FIELDS, Request, all_settings, method_for
from recast.editing.values import weighted
from recast.errors import RequestError, known
from recast.methods import ALL_METHODS, METHODS
from recast.methods.needs import Need
from recast.model.metadata import ModelMetadata


@given(
    st.text(alphabet="abc ,.'-", min_size=1).map(str.strip).filter(bool), st.floats(0, 10).map(lambda x: round(x, 3))
)
def test_a_weight_stands_behind_the_last_colon(text, weight):
    assert weighted(f"{text}:{weight}") == (text, weight)
    assert weighted(text) == (text, 1.0)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("a street at 10:30", ("a street at 10:30", 1.0)),
        ("ref.png:0.5", ("ref.png", 0.5)),
        ("note: a dog", ("note: a dog", 1.0)),
        ("C:\\ref.png", ("C:\\ref.png", 1.0)),
        ("a:b:2", ("a:b", 2.0)),
        (" snow : .25 ", ("snow", 0.25)),
    ],
)
def test_colons_that_are_and_are_no_weights(given, read):
    assert weighted(given) == read


def test_a_request_comes_back_from_json():
    asked = Request.asked(
        source="in.mp4",
        target="out.mp4",
        prompt=["a red ball:0.5", ("snow", 2)],
        image="ref.png",
        temporal_guidance=1.2,
        size="448x256",
        duration="1:02.5",
        mask="m.png",
        overwrite=True,
    )
    back = Request.from_dict(json.loads(json.dumps(asked.to_dict())))
    assert back == dataclasses.replace(asked, target=None, overwrite=False)
    assert back.words == (("a red ball", 0.5), ("snow", 2.0))
    assert (back.size, back.stop, back.knobs) == ((448, 256), 62.5, {"temporal_guidance": 1.2})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"method": "gen2"},
            "there is no method 'gen2', did you mean gen1? known: auto, " + ", ".join(METHODS),
        ),
        ({"guidance": "agp"}, "there is no guidance 'agp', did you mean apg? known: apg, cfg-zero, plain"),
        ({"apg_eta": 0.5}, "apg_eta would do nothing: guidance is 'plain'; say guidance=apg too"),
        ({"guidance": "cfg-zero", "apg_momentum": -0.5, "apg_threshold": 5}, "apg_threshold and apg_momentum would do"),
        (
            {"method": "tokenflow", "guidance": "apg", "apg_momentum": -0.5},
            "tokenflow has other keyframes at each step and no use for apg_momentum",
        ),
        (
            {"guided_from": 0.8, "guided_until": 0.2},
            "guided_from is 0.8 and guided_until is 0.2; guidance must start first",
        ),
        (
            {"method": "flowedit", "ensemble": 4},
            "flowedit averages no answers: ensemble must be 1, not 4; "
            + ", ".join(name for name, method in METHODS.items() if method.ensembles),
        ),
        ({"structure": "xyz"}, "there is no structure 'xyz'; known: depth, edges"),
        ({"scheduler": "ddmi"}, "there is no scheduler 'ddmi', did you mean ddim?"),
        ({"sead": 3}, "there is no setting 'sead', did you mean seed?"),
        (
            {"method": "sdedit", "noises": 2},
            "method sdedit has no knob 'noises'; flowedit has it; its own: guidance, guided_from,",
        ),
        ({"strength": 2}, "strength is 2; it should be less than or equal to 1"),
        ({"strength": "much"}, "strength is 'much'; it should be a valid number"),
        ({"structure_detail": 7.5}, "structure_detail is 7.5; it should be less than or equal to 7"),
        ({"noises": 0}, "noises is 0; it should be greater than or equal to 1"),
        ({"guided_from": -1}, "guided_from is -1; it should be greater than or equal to 0"),
        ({"steps": 0}, "steps is 0; it should be greater than or equal to 1"),
        ({"cfg": float("nan")}, "cfg is nan; it should be a finite number"),
        ({"words": [("a", float("inf"))]}, "prompt is inf; it should be a finite number"),
        ({"size": "wide"}, "size is 'wide'; it should be a short side such as 256, or WIDTHxHEIGHT such as 448x256"),
        ({"size": "0x8"}, "size is '0x8'; it should be a short side such as 256"),
        ({"start": "soon"}, "start is 'soon'; it should be seconds such as 2.5, or a time such as 1:02.5"),
        ({"start": 5, "end": 3}, "the clip would end at 3 s and start at 5 s; end it later"),
        ({"end": 3, "duration": 3}, "end and duration are both given; keep one of them"),
        ({"edit": "middle"}, "edit is 'middle'; it should be 'inside' or 'outside'"),
        ({"seed": -1}, "seed is -1; it should be greater than or equal to 0"),
        ({"device": "tpu"}, "device is 'tpu'; it should be 'auto', 'cpu', 'cuda' or 'mps'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(given, message):
    with pytest.raises(RequestError) as refused:
        Request.asked(**given)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


def test_another_version_is_refused():
    with pytest.raises(RequestError, match="is of version 2 and this recast reads version 1; update recast"):
        Request.from_dict({"schema_version": 2})


def test_updated_changes_only_what_it_names():
    asked = Request.asked(prompt="a dog", strength=0.4)
    assert asked.updated() == asked
    assert asked.updated(seed=3) == dataclasses.replace(asked, seed=3)
    assert asked.updated(temporal_guidance=2).knobs == {"strength": 0.4, "temporal_guidance": 2}
    assert asked.updated(prompt="a cat").words == (("a cat", 1.0),)
    assert asked.updated(method="sdedit").knobs == {}


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("seed=7", ("seed", 7)),
        ("structure-detail=2.5", ("structure_detail", 2.5)),
        ("prompt=a = b", ("prompt", "a = b")),
        ("mask=null", ("mask", None)),
        ("cfg=NaN", ("cfg", "NaN")),
        ("words=" + 100_000 * "[", ("words", 100_000 * "[")),
    ],
)
def test_assignments(given, read):
    assert parsed(given) == read


@pytest.mark.parametrize("given", ["seed", "=3", ""])
def test_what_is_no_assignment(given):
    with pytest.raises(RequestError, match="write KEY=VALUE"):
        parsed(given)


def test_known_names_come_back():
    assert known("method", "gen1", METHODS) == "gen1"


def test_every_field_is_described_and_the_other_names_lead_to_settings():
    assert [name for name, field in FIELDS.items() if not field.description] == []
    assert set(ALSO_CALLED.values()) <= set(all_settings())


def test_flags_set_what_can_be_set():
    assert set(FLAGS) <= set(all_settings())
    by_other_ways = {"source", "target", "overwrite", *GENERATE_FLAGS}
    knobs = {name for method in ALL_METHODS for name in knobs_of(method)}
    assert set(all_settings()) - set(FLAGS) - by_other_ways <= knobs
    assert len({name for flag in FLAGS.values() for name in flag.names}) == sum(len(f.names) for f in FLAGS.values())


def test_defaults_agree_with_the_inputs():
    inputs = {field.name: field.default for field in dataclasses.fields(DenoiseInputs)}
    assert (ModelMetadata().steps, Request().seed) == (inputs["steps"], inputs["seed"])


def test_the_module_needs_no_torch():
    code = "import sys, recast, recast.editing.request, recast.cli.app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_paths_stay_as_said():
    assert Request.asked(source="clips/../in.mp4").to_dict()["source"] == str(Path("clips/../in.mp4"))


def test_auto_is_the_models_method_unless_a_knob_belongs_to_another():
    assert method_for(Request(), "flowedit") == "flowedit"
    assert method_for(Request.asked(interval=2), "flowedit") == "tokenflow"
    assert method_for(Request.asked(residual=0.5), "gen1") == "flowedit"
    assert method_for(Request(method="sdedit"), "gen1") == "sdedit"
    with pytest.raises(RequestError, match="has no knob"):
        Request.asked(interval=2, residual=0.5)


def test_a_models_own_method_must_be_known():
    with pytest.raises(RequestError, match="there is no method 'gen2', did you mean gen1"):
        method_for(Request(), "gen2")


def test_settings_that_most_methods_have_need_no_method_that_few_models_host():
    for settings in ({"deep_cache": 2}, {"refinements": 2}, {"features_until": 0.5}):
        request = Request.asked(source="clip.mp4", prompt="snow", **settings)
        assert Need.FIRST_FRAME not in METHODS[method_for(request, *METHODS)].needs
