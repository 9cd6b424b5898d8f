"""Settings that would do nothing are named, and structures that a model cannot honour are refused, before the work."""

import re
import warnings

import pytest

from linear_backbone import Linear
from recast.backbones.tiny import tiny
from recast.editing.idle import idle_settings
from recast.editing.loaded import Model
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.errors import BackboneError, RecastWarning, RequestError
from recast.methods import METHODS
from recast.video.read import opened
from tiny_folder import clip_folder, written


class Images(Linear):
    """A network that reads no structure and whose frames do not see each other."""

    structure_kinds = frozenset()
    has_temporal_layers = False


def idle(backbone=None, cfg_scale=2.0, **settings):
    request = Request.asked(**{"model": "some", "method": "gen1"} | settings)
    method = METHODS[request.method](**request.knobs)
    return list(idle_settings(request, method, backbone or tiny(0), cfg_scale))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"method": "flowedit", "scheduler": "heun"}, "scheduler does nothing here: flowedit does not read that"),
        ({"method": "flowedit", "scheduler": "heun", "tail": 0.5}, None),
        ({"method": "gen1", "scheduler": "heun"}, None),
        ({"method": "gen1", "flow": "raft.safetensors"}, "flow does nothing here: gen1 follows no motion"),
        ({"method": "medm", "flow": "raft.safetensors"}, None),
        (
            {"method": "sdedit", "structure": "edges", "structure_detail": 2},
            "structure and structure detail do nothing here: sdedit does not read that",
        ),
        ({"method": "gen1", "structure": "edges", "structure_detail": 2}, None),
        ({"source_prompt": "a dog"}, "source prompt does nothing here: gen1 does not ask what the clip shows"),
        ({"method": "flowedit", "source_prompt": "a dog"}, None),
        (
            {"negative": "blur", "guidance": "apg", "cfg_scale": 1.0},
            "negative and guidance do nothing here: a cfg of 1 is no guidance",
        ),
        ({"negative": "blur", "guidance": "apg"}, None),
        ({"temporal_guidance": 1.5}, None),
        ({"fps": 12}, "fps does nothing here: the clip has a rate and a course of its own"),
        ({"edit": "outside", "feather": 9}, "edit and feather do nothing here: there is no mask"),
        ({"edit": "outside", "mask": "mask.png"}, None),
        (
            {"backbone": Images(1.0), "temporal_guidance": 1.5},
            "temporal guidance does nothing here: frames do not see each other in some",
        ),
        (
            {"backbone": Images(1.0), "structure_detail": 2},
            "structure detail does nothing here: some reads no structure",
        ),
        ({"backbone": Images(1.0)}, None),
    ],
)
def test_a_setting_that_nothing_reads_is_named_with_the_reason(settings, sentence):
    assert idle(**settings) == ([sentence] if sentence else [])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Model.loaded(str(written(tmp_path_factory.mktemp("model"))))


@pytest.fixture
def request_(tmp_path):
    return Request.asked(source=clip_folder(tmp_path / "source", frames=2, size=(40, 52)), prompt="a red ball", steps=2)


def test_an_edit_warns_of_them(request_, model):
    source = opened(request_.source)
    with pytest.warns(RecastWarning, match="scheduler does nothing here"):
        resolve(request_.updated(method="flowedit", scheduler="heun"), model, source)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolve(request_, model, source)


@pytest.mark.parametrize(
    ("structure", "refusal"),
    [
        (("depth", "edges"), "reads one structure and was given 2 .depth, edges."),
        ("depth:0.5", "depth cannot have weight 0.5 here"),
        ("depth@0-0.5", "depth cannot have range 0-0.5 here"),
        ("depth:2@0-0.5", "depth cannot have weight 2 and range 0-0.5 here"),
    ],
)
def test_structures_that_the_model_cannot_honour_are_refused_before_the_clip_is_read(
    request_, model, structure, refusal
):
    with pytest.raises(BackboneError, match=refusal):
        resolve(request_.updated(structure=structure), model, opened(request_.source))


@pytest.mark.parametrize("text", ["", "  ", "\u200b", "\u00ad\t"])
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("prompt", "the prompt (-p, --prompt) is empty; write what the clip should look like"),
        ("negative", "the negative prompt (-n, --negative) is empty; write what it should not look like"),
        ("source_prompt", "the source prompt (--source-prompt) is empty; write what the clip shows"),
    ],
)
def test_words_that_cannot_be_seen_are_refused(name, wrong, text):
    with pytest.raises(RequestError, match=re.escape(f"{wrong}, or leave it out")):
        Request.asked(**{name: text})
