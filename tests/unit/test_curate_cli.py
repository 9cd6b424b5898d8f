"""recast curate as it is typed: what it says and refuses, and what it makes of captions, pictures and real clips."""

import builtins
import json
from fractions import Fraction
from pathlib import Path

import pytest
import torch

import blip_folder
from curation_files import film, settings, world
from recast.cli.app import run
from recast.curation.buckets import BUCKETS, Size, nearest, parsed
from recast.curation.captions import Captioner, beside
from recast.curation.conditioning import levels_of
from recast.curation.curate import CurationPlan, curated
from recast.curation.materials import SourceKind, found
from recast.data.shards import opened
from recast.errors import RecastError, RequestError, WeightsError

QUICK = ("--frames", "4", "--stride", "2", "--buckets", "64x64,96x64", "--no-conditioning", "-j", "1", "-q")


def unwatched(*_):
    pass


@pytest.fixture
def here(tmp_path, monkeypatch):
    film(tmp_path / "in" / "film.mp4", world(30, 16))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "there is no such file or folder: nowhere"),
        (("empty",), "there is no video and no picture in empty"),
        (("world:none",), "'world:none' names no worlds; write world:N"),
        (("in", "--buckets", "square"), "buckets are 'square'; they should be paper or pocket"),
        (("in", "--buckets", "100x100"), "a bucket is 100x100; both sides should be multiples of 8 px"),
        (("in", "--frames", "1"), "frames is '1'; it should be greater than or equal to 2"),
        (("in", "--max-text", "lots"), "max text is 'lots'; it should be a valid number"),
        (("in", "--shots", "magic"), "there is no shot detector 'magic'; known: either, content, adaptive, none"),
        (("in", "--skip", "txt"), "there is no filter 'txt', did you mean text?"),
        (("in", "--pictures", "gif"), "pictures is 'gif'; it should be 'jpg', 'png' or 'none'"),
        (("in", "-o", "in"), "the folder holds other things; name a new one"),
        (("in", "-o", "in/film.mp4"), "this is a file, and shards need a folder"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(here, capsys, arguments, message):
    (here / "empty").mkdir()
    assert run(["curate", *([] if "-o" in arguments else ["-o", "out"]), "-q", "-j", "1", *arguments]) == 2
    output = capsys.readouterr()
    assert output.err.startswith("error: ")
    assert message in output.err
    assert len(output.err.splitlines()) == 1
    assert not (here / "out").exists()


@pytest.mark.parametrize(("missing", "extra"), [("pyarrow", "curate"), ("ray", "ray")])
@pytest.mark.usefixtures("here")
def test_a_missing_package_is_said_with_its_extra(capsys, monkeypatch, missing, extra):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.partition(".")[0] == missing:
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    code = run(["curate", "in", "-o", "out", *QUICK, *(["--ray"] if extra == "ray" else [])])
    assert code == 3
    assert capsys.readouterr().err == f"error: this needs {missing}: pip install 'recast-video[{extra}]'\n"


def test_a_dry_run_tells_and_makes_nothing(here, capsys):
    before = sorted(here.rglob("*"))
    assert run(["curate", "in", "world:5", "-o", "out", *QUICK, "--dry-run", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["found"] == {"video": 1, "sequence": 0, "image": 0, "world": 5}
    assert shown["settings"]["buckets"] == ["64x64", "96x64"]
    assert sorted(here.rglob("*")) == before


@pytest.mark.usefixtures("here")
def test_json_says_what_was_kept_and_a_second_run_that_all_was_done(capsys):
    for before in (False, True):
        assert run(["curate", "in", "-o", "out", *QUICK, "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert (shown["kept"], shown["done_before"]) == (2, before)


def test_nothing_kept_is_still_reported(here):
    film(here / "black" / "a.mp4", torch.zeros(16, 3, 96, 96, dtype=torch.uint8))
    assert run(["curate", "black", "-o", "out", *QUICK]) == 0
    assert "nothing" in (here / "out" / "report.html").read_text()
    assert opened(here / "out") == []


def test_the_report_needs_nothing_else(here):
    assert run(["curate", "in", "-o", "out", *QUICK]) == 0
    page = (here / "out" / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2
    assert "http" not in page
    assert "<script" not in page


def test_captions_lie_beside_or_inside(tmp_path):
    for name, text in {
        "a.txt": "a  dog\n",
        "b.json": '{"caption": "a cat"}',
        "c.json": '{"captions": ["an owl"]}',
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "d.json").write_text("{")
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "caption.txt").write_text("a horse")
    for name in "abcde":
        (tmp_path / f"{name}.mp4").touch()
    captions = [beside(tmp_path / f"{name}.mp4") for name in "abcde"]
    assert captions == ["a dog", "a cat", "an owl", None, None]
    assert beside(tmp_path / "frames") == "a horse"


@pytest.fixture(scope="module")
def blip(tmp_path_factory):
    return blip_folder.written(tmp_path_factory.mktemp("blip"))


def test_what_has_no_caption_gets_one_from_a_captioner(here, blip):
    (here / "in" / "film.txt").write_text("what is written")
    film(here / "in" / "untold.mp4", world(31, 16))
    curated(CurationPlan.made(["in"], settings(captioner=str(blip), pictures="png")), here / "out", unwatched)
    (bucket,) = opened(here / "out")
    captions = {bucket.row(i)["source"]: bucket.row(i)["caption"] for i in range(len(bucket))}
    assert captions["in/film.mp4"] == "what is written"
    expected = Captioner.opened(str(blip))(bucket.shown(len(bucket) - 1)[2])
    assert expected
    assert captions["in/untold.mp4"] == expected


def test_captioners_that_could_run_code_are_refused(blip, tmp_path):
    with pytest.raises(WeightsError, match="there is no captioning model"):
        Captioner.opened(str(tmp_path))
    (tmp_path / "config.json").write_text((blip / "config.json").read_text())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin can run code"):
        Captioner.opened(str(tmp_path))


def test_folders_of_pictures_are_clips_where_names_count_up(tmp_path):
    film(tmp_path / "counted", world(1, 8))
    film(tmp_path / "gap", world(1, 8))
    (tmp_path / "gap" / "00004.png").unlink()

    def kinds(folders):
        return [(each.matter, Path(each.name).name) for each in found([str(tmp_path)], folders, 8).materials][:2]

    assert kinds("auto") == [(SourceKind.SEQUENCE, "counted"), (SourceKind.IMAGE, "00001.png")]
    assert kinds("clip") == [(SourceKind.SEQUENCE, "counted"), (SourceKind.SEQUENCE, "gap")]
    assert kinds("images") == [(SourceKind.IMAGE, "00001.png"), (SourceKind.IMAGE, "00002.png")]


@pytest.mark.usefixtures("here")
def test_a_file_that_is_named_twice_is_taken_once():
    listed = found(["in", "in/film.mp4", "world:2@5", "world:1@6"], "auto", 8).materials
    assert [each.name for each in listed] == ["in/film.mp4", "world:5", "world:6"]


def test_buckets_are_chosen_by_shape():
    paper = BUCKETS["paper"]
    assert {str(size) for size in paper} == {"320x320", "384x320", "320x384", "448x256", "256x448"}
    for size in paper:
        assert nearest((Fraction(size.width), Fraction(size.height)), paper) == size
    assert nearest((Fraction(1920), Fraction(1080)), paper) == Size(448, 256)
    assert parsed("64x64, 96x64,64x64") == (Size(64, 64), Size(96, 64))


def test_levels_are_drawn_by_the_key_alone():
    drawn = [levels_of(f"key-{i}", 2) for i in range(700)]
    assert drawn == [levels_of(f"key-{i}", 2) for i in range(700)]
    counts = torch.tensor([[levels[1] == level for level in range(1, 8)] for levels in drawn]).sum(0)
    assert all(levels[0] == 0 for levels in drawn)
    assert counts.min() > 60
    assert levels_of("any", 8) == tuple(map(float, range(8)))


@pytest.mark.footage
def test_odd_files_are_read_or_listed_and_never_fatal(footage, tmp_path):
    odd = [
        "broken_corrupted.mp4",
        "vvc_unsupported.mp4",
        "indeo4_yuv410_flame.avi",
        "gif_newtonscradle.gif",
        "odd161x121_vp9_bear.webm",
        "rot090_mirror_man.mp4",
    ]
    plan = CurationPlan.made([str(footage / "io" / name) for name in odd], settings(skip=("static",)))
    summary, _ = curated(plan, tmp_path / "out", unwatched)
    failed = {Path(each["source"]).name for each in summary["failed"]}
    assert {"vvc_unsupported.mp4", "indeo4_yuv410_flame.avi"} <= failed
    assert "gif_newtonscradle.gif" not in failed
    assert all("\n" not in each["reason"] for each in summary["failed"])


def test_a_changed_source_is_another_curation(here):
    plan = CurationPlan.made(["in"], settings())
    curated(plan, here / "out", unwatched)
    film(here / "in" / "film.mp4", world(32, 16))
    with pytest.raises(RequestError, match="differ in materials"):
        curated(CurationPlan.made(["in"], settings()), here / "out", unwatched)
    assert issubclass(RequestError, RecastError)
