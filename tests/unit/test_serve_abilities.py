"""Methods that a model cannot do are refused before a job of them is queued, with the reason."""

import json
import time

import pytest

pytest.importorskip("fastapi")

from recast.app.abilities import Abilities
from recast.app.client import Client
from recast.app.config import ServeConfig
from recast.app.making import Making
from recast.cli.app import run
from recast.errors import RequestError
from recast.methods import METHODS
from served import free_port, serving

READS_NO_PICTURE = "instruct-pix2pix cannot edit by pocket: its network reads no picture to edit; take a folder of "


@pytest.fixture(scope="module")
def refusals():
    """What `recast methods` says of `pocket`, from this process: one of its own would take longer than the tests."""
    from recast.editing.loaded import Model
    from recast.evaluation.dry_run import dry_run

    model = Model.loaded("pocket")
    return {name: dry_run(name, model, 8).refusal for name in ("instruct-pix2pix", "make-a-protagonist", "flatten")}


@pytest.fixture
def server(tmp_path, refusals):
    config = ServeConfig(tmp_path / "data", port=free_port())
    with serving(config) as url:
        (config.data / "abilities" / "pocket.json").write_text(json.dumps(refusals))
        yield Client(url)


def test_a_method_that_the_model_cannot_do_is_refused_and_leaves_nothing(server, tmp_path):
    clip = tmp_path / "world.mp4"
    assert run(["world", "--seed", "3", "--frames", "2", "--size", "64x40", "-o", str(clip), "-q"]) == 0
    sent = server.send(clip)
    with pytest.raises(RequestError, match=READS_NO_PICTURE):
        server.submit_sent(sent, prompt=["snow"], settings={"method": "instruct-pix2pix"})
    assert server.jobs() == []
    assert not list((tmp_path / "data" / "results").iterdir())
    for able in ("auto", "sdedit", "make-a-protagonist", "flatten"):
        job = server.submit_sent(sent, prompt=["snow"], settings={"method": able})
        assert job.view()["state"] == "queued"


def test_the_page_is_told_what_a_model_cannot_do(server, refusals):
    assert server.ask("GET", "/models/pocket/methods") == refusals
    with pytest.raises(RequestError, match="there is no model 'no-such'"):
        server.ask("GET", "/models/no-such/methods")


@pytest.mark.slow
def test_it_is_looked_for_once_and_anew_with_the_next_server(tmp_path, refusals):
    abilities = Abilities(tmp_path / "abilities", Making())
    while (found := abilities.refusals("pocket")) is None:
        time.sleep(0.1)
    assert found.keys() == METHODS.keys()
    assert refusals.items() <= found.items()
    with pytest.raises(RequestError, match=READS_NO_PICTURE):
        abilities.check("pocket", "instruct-pix2pix")
    Abilities(tmp_path / "abilities", Making())
    assert not list((tmp_path / "abilities").iterdir())
