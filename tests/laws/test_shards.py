"""Laws of shards: what is written is read again, exactly, at any place, and whatever is damaged is named."""

import io
import pickle
import zlib
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import webdataset

from recast.curation.conditioning import maps_of, steps_of
from recast.curation.filters import FILTERS
from recast.data.examples import Example, ExampleSource
from recast.data.manifest import write_manifest
from recast.data.shards import opened
from recast.data.storage import MANIFEST, Sample, conditioning_of, members_of, write_shard
from recast.errors import RequestError

KEYS = ("a-0000000", "a-0000032", "b-0000000")


def drawn(key, frames=2):
    """Frames, depth and example of a clip that depend on its key alone."""
    rng = torch.Generator().manual_seed(zlib.crc32(key.encode()))
    pictures = torch.randint(0, 256, (frames, 3, 16, 24), generator=rng, dtype=torch.uint8)
    depth = maps_of(steps_of(torch.rand(frames, 1, 16, 24, generator=rng)))
    latents = (torch.randn(frames, 8, 2, 3, generator=rng), torch.randn(2, frames, 4, 2, 3, generator=rng))
    embeddings = torch.randn(frames, 12, generator=rng)
    example = Example(latents[0].half(), latents[1].half(), (0.0, 3.0), embeddings.half(), f"a clip of {key}")
    return pictures, depth, example


def sample(key, frames=2):
    pictures, depth, example = drawn(key, frames)
    row = {"bucket": "24x16", "frames": frames, "caption": example.caption, "levels": list(example.levels)}
    members = members_of(pictures, {"caption": example.caption}, "png", steps_of(depth))
    return Sample(key, members | conditioning_of(example), row)


def written(folder, keys=KEYS, frames=2, samples=None):
    folder.mkdir()
    rows = write_shard(folder / "clips-24x16-00000.tar", samples or [sample(key, frames) for key in keys])
    write_manifest(folder / MANIFEST, [rows[:1], rows[1:]], FILTERS)
    return folder


def same(one, other):
    tensors = all(
        torch.equal(getattr(one, name), getattr(other, name)) for name in ("moments", "structure", "embeddings")
    )
    return tensors and (one.levels, one.caption) == (other.levels, other.caption)


def test_what_is_written_is_read_in_any_order(tmp_path):
    (bucket,) = opened(written(tmp_path / "shards"))
    assert isinstance(bucket, ExampleSource)
    assert (bucket.frames, bucket.size, len(bucket)) == (2, (16, 24), 3)
    for index in (2, 0, 1, 2):
        pictures, depth, example = drawn(KEYS[index])
        assert same(bucket.example(index), example)
        assert torch.equal(bucket.shown(index), pictures)
        assert torch.equal(bucket.depth(index), depth)
    with pytest.raises(IndexError):
        bucket.example(3)


def test_depth_loses_no_more_than_its_steps():
    maps = torch.rand(2, 1, 16, 24, generator=torch.Generator().manual_seed(0))
    assert (maps_of(steps_of(maps)) - maps).abs().max() <= 0.5 / 65535 + 1e-7
    assert np.array_equal(steps_of(maps_of(steps_of(maps))), steps_of(maps))


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # the library leaves it open
def test_the_webdataset_library_reads_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("WDS_SECURE", "1")
    folder = written(tmp_path / "shards")
    path = str(folder / "clips-24x16-00000.tar")
    read = list(webdataset.WebDataset(path, shardshuffle=False).decode("rgb8"))
    assert [each["__key__"] for each in read] == list(KEYS)
    for each in read:
        pictures, depth, example = drawn(each["__key__"])
        assert np.array_equal(each["moments.npy"], example.moments.numpy())
        assert np.array_equal(each["depth.npy"], steps_of(depth))
        assert np.array_equal(each["001.png"], pictures[1].permute(1, 2, 0).numpy())
        assert each["json"]["caption"] == example.caption


def test_the_same_samples_give_the_same_bytes(tmp_path):
    one, other = written(tmp_path / "one"), written(tmp_path / "other")
    for name in ("clips-24x16-00000.tar", MANIFEST):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_folders_are_read_as_one_and_buckets_apart(tmp_path):
    folders = [written(tmp_path / "a"), written(tmp_path / "b", keys=("c-0000000",)), written(tmp_path / "c", frames=1)]
    images, clips = opened(*folders)
    assert (images.frames, len(images), clips.frames, len(clips)) == (1, 3, 2, 4)
    assert same(clips.example(3), drawn("c-0000000")[2])
    assert clips.row(3)["folder"] == str(folders[1])


def test_a_bucket_can_be_sent_to_another_process(tmp_path):
    (bucket,) = opened(written(tmp_path / "shards"))
    assert same(pickle.loads(pickle.dumps(bucket)).example(1), bucket.example(1))


def test_a_shard_that_fails_is_never_seen(tmp_path):
    def failing():
        yield sample(KEYS[0])
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_shard(tmp_path / "clips.tar", failing())
    assert not list(tmp_path.iterdir())


def cut(folder):
    path = folder / "clips-24x16-00000.tar"
    path.write_bytes(path.read_bytes()[:-30_000])


def spoil(folder, row):
    member = next(each for each in row["members"] if each["name"] == "moments.npy")
    path = folder / "clips-24x16-00000.tar"
    held = bytearray(path.read_bytes())
    held[member["offset"] + 130] ^= 1
    path.write_bytes(held)


def outside(folder):
    rows = pq.read_table(folder / MANIFEST).to_pylist()
    write_manifest(folder / MANIFEST, [[row | {"shard": "../secret.tar"} for row in rows]], FILTERS)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda folder: (folder / MANIFEST).unlink(), "there is no manifest.parquet"),
        (lambda folder: (folder / MANIFEST).write_bytes(b"PAR1"), "the manifest is damaged"),
        (
            lambda folder: pq.write_table(pq.read_table(folder / MANIFEST).drop(["members"]), folder / MANIFEST),
            "lacks members",
        ),
        (lambda folder: (folder / "clips-24x16-00000.tar").unlink(), "shard clips-24x16-00000.tar is missing"),
        (cut, "shard clips-24x16-00000.tar is cut off"),
        (outside, "lies outside its folder"),
    ],
    ids=["no manifest", "damaged manifest", "another's manifest", "no shard", "cut shard", "outside"],
)
def test_damage_is_found_when_shards_are_opened(tmp_path, harm, message):
    folder = written(tmp_path / "shards")
    harm(folder)
    with pytest.raises(RequestError, match=message):
        opened(folder)


def test_a_changed_byte_is_found_when_it_is_read(tmp_path):
    folder = written(tmp_path / "shards")
    (bucket,) = opened(folder)
    spoil(folder, bucket.row(1))
    assert bucket.example(0).caption
    with pytest.raises(RequestError, match=r"moments\.npy is damaged in sample a-0000032 of clips-24x16"):
        bucket.example(1)


def test_pickles_are_refused(tmp_path):
    file = io.BytesIO()
    np.save(file, np.array([{"harm": 1}], dtype=object), allow_pickle=True)
    given = sample(KEYS[0])
    given = replace(given, members=given.members | {"moments.npy": file.getvalue()})
    (bucket,) = opened(written(tmp_path / "shards", samples=[given]))
    with pytest.raises(RequestError, match=r"moments.npy is no plain array"):
        bucket.example(0)


def test_what_was_left_out_is_said(tmp_path):
    row = {"bucket": "24x16", "frames": 2, "caption": None, "levels": []}
    given = Sample(KEYS[0], members_of(drawn(KEYS[0])[0], {}, "none"), row)
    (bucket,) = opened(written(tmp_path / "shards", samples=[given]))
    for read, message in (
        (bucket.example, "without conditioning"),
        (bucket.shown, "without pictures"),
        (bucket.depth, "no depth"),
    ):
        with pytest.raises(RequestError, match=message):
            read(0)
