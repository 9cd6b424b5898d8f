"""Two runs in one folder would write over each other; the second is refused, and a dead one's claim is gone."""

import subprocess
import sys
from pathlib import Path

import pytest

from curation_files import settings
from recast.curation.curate import WORK, CurationPlan, curated
from recast.errors import RequestError
from recast.files import run_lock

HOLDS = """
import sys, time
from pathlib import Path
from recast.files import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""


def test_a_folder_is_held_by_one_process_until_it_is_killed(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        asked = pytest.raises(RequestError, match="another run is at work there; wait for it, or name another")
        with asked, run_lock(tmp_path):
            pass
        other.kill()
    with run_lock(tmp_path):
        pass


def test_a_claim_ends_with_what_it_was_for(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), run_lock(tmp_path):
        1 / 0  # noqa: B018
    with run_lock(tmp_path):
        pass


def test_shards_are_made_by_one_run_at_a_time(tmp_path: Path):
    (tmp_path / WORK).mkdir()
    plan = CurationPlan.made(["world:1"], settings())
    with run_lock(tmp_path / WORK), pytest.raises(RequestError, match="another run is at work there"):
        curated(plan, tmp_path, lambda *_: None)
    assert [path.name for path in tmp_path.iterdir()] == [WORK]
