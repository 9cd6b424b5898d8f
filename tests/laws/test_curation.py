"""Laws of a whole curation: what it leaves depends on its sources and settings alone, and is what was computed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from einops import rearrange
from torch.testing import assert_close

from curation_files import SQUARE, film, lettered, settings, still, world
from deeds import Deed, Failing
from recast.backbones.families import BACKBONES
from recast.conditions.depth import DepthExtractor, normalized
from recast.conditions.image import ImageEncoder
from recast.curation.buckets import fitted
from recast.curation.curate import WORK, CurationPlan, Executor, curated
from recast.data.shards import opened
from recast.data.storage import SUMMARY
from recast.editing.record import digest
from recast.errors import RecastError, RequestError
from recast.jobs.runners import local
from recast.model.folder import ModelFolder
from recast.types import Clip, Kind, Structure
from recast.world import as_filmed, rendered, sampled
from tiny_folder import written


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(written(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Two films, one of them with a cut; a copy; what no filter lets pass; pictures; damaged and foreign files."""
    folder = tmp_path_factory.mktemp("sources")
    one, other = world(20, 32), world(21, 16)
    film(folder / "a" / "cut.mp4", one, other)
    film(folder / "b" / "copy.mp4", one)
    film(folder / "b" / "black.mp4", torch.zeros_like(other))
    film(folder / "b" / "frozen.mp4", still(other[0], 16))
    film(folder / "b" / "text.mp4", lettered(world(22, 16, 192, 192)))
    film(folder / "b" / "wide.mp4", world(23, 16, 96, 144))
    film(folder / "b" / "short.mp4", other[:5])
    film(folder / "c" / "small.mp4", other[..., :32, :32])
    film(folder / "c" / "cut_off.mp4", other)
    cut_off = folder / "c" / "cut_off.mp4"
    cut_off.write_bytes(cut_off.read_bytes()[:900])
    (folder / "c" / "words.mp4").write_text("no video")
    film(folder / "frames" / "images", world(24, 16))
    film(folder / "frames" / "masks", still(torch.full((3, 96, 96), 255, dtype=torch.uint8), 16))
    film(folder / "pictures", world(25, 1))
    return folder


SAID = {"skip": ("static", "fast"), "per_shard": 3}


def unwatched(*_):
    pass


def made(sources, folder, crew=None, **more):
    plan = CurationPlan.made([str(sources), "world:3"], settings(**SAID | more))
    return curated(plan, folder, unwatched, crew or Executor())


@pytest.fixture(scope="module")
def shards(sources, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "shards"
    summary, busy = made(sources, folder)
    assert busy
    return folder, summary


def test_every_source_is_kept_or_counted_with_its_reason(shards):
    folder, summary = shards
    assert summary["found"] == {"video": 10, "sequence": 1, "image": 1, "world": 3}
    assert summary["dropped"].keys() == {"black", "frozen", "text", "copies", "small", "short"}
    assert summary["dropped"]["copies"] == 4
    failed = {Path(each["source"]).name: each["reason"] for each in summary["failed"]}
    assert failed.keys() == {"cut_off.mp4", "words.mp4"}
    assert "no frame that can be decoded" in failed["cut_off.mp4"]
    assert "not a video" in failed["words.mp4"]
    assert [Path(each["source"]).name for each in summary["passed_over"]] == ["masks"]
    rows = [bucket.row(i) for bucket in opened(folder) for i in range(len(bucket))]
    assert len(rows) == summary["kept"] == len({row["key"] for row in rows})
    names = {Path(row["source"]).name for row in rows}
    assert names == {"cut.mp4", "wide.mp4", "images", "00001.png", "world:0", "world:1", "world:2"}


def test_clips_are_the_source_brought_to_the_bucket(sources, shards, tmp_path):
    summary, _ = made(sources, tmp_path / "png", pictures="png")
    assert summary["kept"] == shards[1]["kept"]
    clips = next(bucket for bucket in opened(tmp_path / "png") if bucket.frames == 4 and bucket.size == (64, 64))
    index = next(i for i in range(len(clips)) if clips.row(i)["source"].endswith("images"))
    row = clips.row(index)
    picks = torch.arange(4) * row["stride"] + row["start"]
    assert torch.equal(clips.shown(index), fitted(world(24, 16)[picks], SQUARE))


def test_a_second_run_does_nothing_and_another_is_refused(sources, shards):
    folder, summary = shards
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert made(sources, folder) == (summary, False)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    with pytest.raises(RequestError, match="differ in max_text"):
        made(sources, folder, max_text=0.5)


def test_workers_change_no_byte(sources, shards, tmp_path):
    made(sources, tmp_path / "two", Executor(2))
    assert digest(tmp_path / "two") == digest(shards[0])


@pytest.mark.dist
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ray_changes_no_byte(sources, shards, tmp_path):
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from pathlib import Path
from laws.test_curation import made
from recast.jobs.runners import Executor
made(Path({str(sources)!r}), Path({str(tmp_path / "ray")!r}), Executor(2, "ray"))
"""
    # Ray is polite by default, and on a busy machine would never be served.
    own = {**os.environ, "RAY_worker_niceness": "0"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=own)
    assert done.returncode == 0, done.stderr[-2000:]
    assert digest(tmp_path / "ray") == digest(shards[0])


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))])
def test_a_run_that_is_killed_goes_on_to_the_same_result(sources, shards, tmp_path, seed):
    code = "import sys; from recast.cli.app import run; sys.exit(run(sys.argv[1:]))"
    flags = (
        "--frames 4 --stride 2 --buckets 64x64,96x64 --no-conditioning --skip static --skip fast --per-shard 3 -j 1 -q"
    )
    command = [
        sys.executable,
        "-c",
        code,
        "curate",
        str(sources),
        "world:3",
        "-o",
        str(tmp_path / "killed"),
        *flags.split(),
    ]
    rng = random.Random(seed)
    running = subprocess.Popen(command, stderr=subprocess.PIPE)
    scans, wanted = tmp_path / "killed" / WORK / "scans", rng.randrange(1, 9)
    deadline = time.monotonic() + 60
    while running.poll() is None and time.monotonic() < deadline:
        if scans.is_dir() and len(list(scans.glob("0*.json"))) >= wanted:
            break
        time.sleep(0.005)
    time.sleep(rng.uniform(0, 0.2))
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert not (tmp_path / "killed" / SUMMARY).exists() or seed
    made(sources, tmp_path / "killed")
    assert digest(tmp_path / "killed") == digest(shards[0])
    assert not (tmp_path / "killed" / WORK).exists()


def test_conditioning_equals_what_the_pipeline_computes(model, tmp_path):
    plan = CurationPlan.made(["world:2"], settings(model=model, levels=3, pictures="png"))
    curated(plan, tmp_path / "shards", unwatched)
    folder = ModelFolder.found(model)
    backbone = BACKBONES["gen1"](folder)
    for bucket in opened(tmp_path / "shards"):
        example, frames = bucket.example(0), bucket.shown(0)
        footage = rendered(sampled(int(bucket.row(0)["source"][-1])), 4, *bucket.size, 0.1)
        assert torch.equal(frames, rearrange(torch.from_numpy(footage.frames), "t h w c -> t c h w"))
        maps = DepthExtractor.opened(folder, torch.device("cpu"))(Clip(frames, Fraction(10))).maps
        assert_close(bucket.depth(0), maps, rtol=0, atol=1e-5)
        assert_close(example.latents(), backbone.encode(frames), rtol=0, atol=2e-3)
        assert len(example.levels) == 3
        # Training softens at the size that its examples have.
        as_trained = replace(backbone, metadata=replace(backbone.metadata, trained_side=min(bucket.size)))
        assert example.levels[0] == 0
        for level, structure in zip(example.levels, example.structure, strict=True):
            planes = as_trained.structure_channels(Structure(Kind.DEPTH, bucket.depth(0), level))
            assert_close(structure.float(), planes[:, :4], rtol=0, atol=2e-3)
        embeddings = ImageEncoder.opened(folder, torch.device("cpu")).embeddings(frames)
        assert_close(example.embeddings.float(), embeddings, rtol=0, atol=2e-3)
        assert example.caption == footage.caption


def test_worlds_may_tell_their_true_depth(model, tmp_path):
    curated(CurationPlan.made(["world:1@7"], settings(model=model, true_depth=True)), tmp_path / "shards", unwatched)
    (bucket,) = opened(tmp_path / "shards")
    footage = rendered(sampled(7), 4, *bucket.size, 0.1)
    assert_close(bucket.depth(0), normalized(torch.from_numpy(footage.inverse_depth)[:, None]), rtol=0, atol=1e-5)


def test_worlds_may_be_filmed(tmp_path):
    asked = settings(model=None, filmed=1.0, pictures="png")
    curated(CurationPlan.made(["world:1@7"], asked), tmp_path / "shards", unwatched)
    (bucket,) = opened(tmp_path / "shards")
    footage = rendered(sampled(7), 4, *bucket.size, 0.1)
    filmed = rearrange(torch.from_numpy(as_filmed(footage).frames), "t h w c -> t c h w")
    assert torch.equal(bucket.shown(0), filmed)
    assert not torch.equal(filmed, rearrange(torch.from_numpy(footage.frames), "t h w c -> t c h w"))


def test_a_job_that_ends_its_process_is_given_up_and_the_others_are_done(tmp_path):
    deeds = [Deed(tmp_path / str(number), deadly=number == 7) for number in range(9)]
    assert len(list(local(deeds, 2))) == 9
    assert [deed.target.read_text() for deed in deeds] == ["crashed" if deed.deadly else "done" for deed in deeds]


def test_an_error_of_ours_leaves_the_pool():
    with pytest.raises(RecastError):
        list(local([Failing()], 2))


def test_the_summary_says_how_it_was_made(shards):
    folder, summary = shards
    assert json.loads((folder / SUMMARY).read_text()) == summary
    assert summary["identity"]["settings"]["per_shard"] == 3
    assert sum(summary["shards"].values()) == summary["kept"]
    assert all((folder / name).is_file() for name in summary["shards"])
