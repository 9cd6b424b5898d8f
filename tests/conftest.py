"""What all tests share: one thread a process, no look-ups in a hub, and where real clips lie."""

import os

# Before torch is imported: two test processes on two cores would otherwise start two threads each, and one thread
# adds up in the same order everywhere. Processes that tests start inherit both.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("recast", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("recast")


@pytest.fixture(scope="session")
def footage() -> Path:
    """The folder of real clips beside the checkout; tests that ask for it are skipped where it is not there."""
    folder = Path(__file__).parents[2] / "shared" / "footage"
    if not folder.is_dir():
        pytest.skip("there are no real clips beside this checkout")
    return folder
