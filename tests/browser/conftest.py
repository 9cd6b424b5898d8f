"""A browser, a server with a worker, and clips to give them."""

import os
from dataclasses import replace

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright.sync_api")

from browsing import CHROMIUM, browsed
from recast.app.config import ServeConfig
from recast.cli.app import run
from served import free_port, serving, working


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        missing = "there is no chromium here; on Debian: apt-get install chromium fonts-dejavu-core"
        pytest.fail(missing) if "CI" in os.environ else pytest.skip(missing)
    with browsed() as found:
        yield found


@pytest.fixture(scope="session")
def config(tmp_path_factory):
    return ServeConfig(tmp_path_factory.mktemp("served") / "data", port=free_port())


@pytest.fixture(scope="session")
def url(config):
    """A server with a worker, which all tests share: the model is loaded once."""
    with serving(config) as found, working(config):
        yield found


@pytest.fixture(scope="session")
def guarded(config, tmp_path_factory):
    """A server that wants a token, without a worker."""
    asking = replace(config, data=tmp_path_factory.mktemp("guarded") / "data", port=free_port(), token="a" * 20)
    with serving(asking) as found:
        yield found


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """Eight frames of the world, in a format that every browser plays."""
    path = tmp_path_factory.mktemp("clips") / "meadow.mp4"
    assert run(["world", "--seed", "7", "--frames", "8", "--size", "160x96", "-o", str(path), "-q"]) == 0
    return path


@pytest.fixture
def page(browser, url):
    """A new user's page."""
    with browser.page(url) as opened:
        yield opened
