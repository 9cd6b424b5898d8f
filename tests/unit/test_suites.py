"""Suites of edits: published lists are read, a run gives the same tables however often it was stopped, one page."""

import re
import shutil
from fractions import Fraction
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

import tiny_folder
from lpips_folder import write_lpips
from recast.cli.app import run
from recast.errors import MediaError, RequestError
from recast.evaluation.intervals import Figure
from recast.evaluation.suites.edits import SuiteRun, measured_edit
from recast.evaluation.suites.layouts import ClipEdit
from recast.evaluation.suites.page import page, sweeps
from recast.evaluation.suites.plot import scatter
from recast.evaluation.suites.suite_file import SuiteArm, SuiteFile, SuiteItem
from recast.evaluation.suites.tables import means, source_means
from recast.types import Clip
from recast.video.write import save_clip

# The tiny model knows few words, and its random weights are hard to invert.
pytestmark = pytest.mark.filterwarnings("ignore::recast.errors.RecastWarning")

TOML = """
prompts = "list.csv"
models = ["{model}"]
methods = ["gen1", {{ method = "gen1", temporal_guidance = 2 }}, "instruct-pix2pix"]
[settings]
steps = 1
max_frames = 3
"""


def clip_at(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(4, 3, 4, 4, generator=rng)
    frames = torch.nn.functional.interpolate(coarse, (48, 48), mode="bilinear").mul(255).to(torch.uint8)
    save_clip(Clip(frames, Fraction(8)), path)


def written(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("methods = ['gen1']", RequestError, "names no list"),
        ("prompts = 3", RequestError, "prompts of a suite is 3"),
        ("prompts = 'a'\nseeds = ['x']", RequestError, "a list of numbers"),
        ("prompts = 'a'\nmethod = 'gen1'", RequestError, "no key of a suite 'method', did you mean methods"),
        ("prompts = 'a'\nlayout = 'tgve'", RequestError, "known: table, loveu-tgve-2023, davis"),
        ("prompts = 'a'\nmethods = ['gen2']", RequestError, "no method 'gen2'"),
        ("prompts = 'a'\n[settings]\nseed = 3", RequestError, "seed is no setting"),
        ("prompts = ", MediaError, "cannot be read"),
    ],
)
def test_what_is_wrong_in_a_suite_is_one_line(text, error, message, tmp_path):
    with pytest.raises(error, match=re.escape(message)):
        SuiteFile.opened(written(tmp_path / "suite.toml", text))


def test_edits_of_a_list_are_chosen_by_clip_and_kind(tmp_path):
    written(tmp_path / "list.csv", "clip,edit_prompt,kind\na.mp4,x,style\na.mp4,y,object\nb.mp4,z,style\n")
    for name in ("a", "b"):
        clip_at(tmp_path / f"{name}.mp4")
    suite = SuiteFile(tmp_path, "list.csv", methods=("gen1", "sdedit"), seeds=(0, 1), kinds=("style",))
    names = [(item.edit.name, item.edit.words, item.arm.label, item.seed) for item in suite.items()]
    assert len(names) == len({item.name for item in suite.items()}) == 8
    assert names[:2] == [("a", "x", "gen1", 0), ("a", "x", "gen1", 1)]
    with pytest.raises(RequestError, match="no clip in the list 'c'"):
        SuiteFile(tmp_path, "list.csv", clips=("c",)).items()


def item_of(clip, label, options=(), words="w"):
    return SuiteItem(ClipEdit(Path(clip), clip, words), 1, SuiteArm(label, options, "pocket"), 0)


def test_means_are_over_clips_and_sources_count_once():
    rows = {
        item_of("a", "x"): {"figures": {"frames": 0.2}, "source": {"frames": 0.8}},
        item_of("a", "x", words="v"): {"figures": {"frames": 0.4}, "source": {"frames": 0.8}},
        item_of("b", "x"): {"figures": {"frames": 0.9}, "source": {"frames": 0.4}},
        item_of("b", "y"): {"refusal": "cannot"},
    }
    mean = means(rows)
    assert mean["x"]["frames"].value == pytest.approx((0.3 + 0.9) / 2)
    assert (mean["x"]["frames"].count, mean["y"]) == (2, {})
    assert source_means(rows)["frames"].value == pytest.approx(0.6)


def test_ways_that_differ_in_one_number_are_a_line_and_a_plot_keeps_their_order():
    arms = {f"gen1 {w}": (("method", "gen1"), ("temporal_guidance", w)) for w in (2.0, 0.0, 1.0)}
    rows = {item_of("a", label, options): {} for label, options in arms.items()} | {item_of("a", "other"): {}}
    assert sweeps(rows) == [["gen1 0.0", "gen1 1.0", "gen1 2.0"]]
    points = {
        label: {"prompt": Figure(w, w - 0.1, w + 0.1, 9), "frames": Figure(-w, -w - 0.1, 0.1 - w, 9)}
        for label, w in zip(arms, (2.0, 0.0, 1.0), strict=True)
    }
    drawn = scatter(points, sweeps(rows))
    places = {
        name: (float(x), float(y)) for x, y, name in re.findall(r'<text x="([\d.]+)" y="([\d.]+)">([^<]+)<', drawn)
    }
    ordered = [places[f"gen1 {w}"] for w in (0.0, 1.0, 2.0)]
    assert ordered == sorted(ordered)  # to the right, and down: SVG's y grows downwards
    assert drawn.count("<polyline") == 1
    assert scatter({"x": {"frames": Figure(1, 1, 1, 1)}}) == ""


def test_what_a_list_says_is_text_on_the_page():
    evil = item_of("<script>", 'x"><img src=http://a>', words="<b>&")
    made = page("t", {"k": "<i>"}, {evil: {"refusal": "<u>"}})
    assert not re.search(r"<(img|b>&|i>|u>)|<h2><script", made)


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite")
    model = tiny_folder.written(tmp_path_factory.mktemp("model"))
    clip_at(folder / "a.mp4", 1)
    clip_at(folder / "b.mp4", 2)
    written(folder / "list.csv", "clip,edit_prompt,source_caption\na.mp4,dog,cat\nb.mp4,a cat,\n")
    return written(folder / "suite.toml", TOML.format(model=model))


@pytest.fixture(scope="module")
def first(suite, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / "first"
    assert run(["evaluate", "--suite", str(suite), "-o", str(folder), "--jobs", "1", "-q"]) == 0
    return folder


def test_a_suite_is_a_row_an_edit_and_players_side_by_side(first):
    table = pq.read_table(first / "results.parquet").to_pylist()
    assert [(row["clip"], row["method"]) for row in table] == [
        (c, m) for c in "ab" for m in ("gen1", "gen1", "instruct-pix2pix")
    ]
    for row in table:
        assert bool(row["refusal"]) == (row["method"] == "instruct-pix2pix") == (row["file"] is None)
        if row["file"]:
            assert (first / row["file"]).exists()
            assert row["frame_count"] == 3
            assert 0 < row["frames"] <= 1
            assert (row["direction"] is None) is (row["source_caption"] is None)
    shown = (first / "report.html").read_text()
    players = re.findall(r'<video src="([^"]+)"', shown)
    assert len(players) == 2 * 3
    assert all((first / each).exists() for each in players)
    assert "http" not in shown.replace("http-equiv", "")


def test_another_run_and_one_that_was_stopped_give_the_same_tables(suite, first, tmp_path):
    rest = tmp_path / "stopped"
    shutil.copytree(first, rest)
    lines = (rest / "results.jsonl").read_text().split("\n")
    (rest / "results.jsonl").write_text("\n".join(lines[:3]) + "\n" + lines[3][:30])
    (rest / "results.parquet").unlink()
    for folder in (rest, tmp_path / "second"):
        assert run(["evaluate", "--suite", str(suite), "-o", str(folder), "--jobs", "1", "-q"]) == 0
        for name in ("results.parquet", "report.html"):
            assert (folder / name).read_bytes() == (first / name).read_bytes(), name


def test_a_suite_is_asked_for_alone_and_whole(suite, first, tmp_path, capsys):
    for flags, message in (
        (["--suite", str(suite)], "give --output too"),
        (["--suite", str(suite), "-o", str(tmp_path), "--worlds"], "by another command"),
    ):
        assert run(["evaluate", *flags]) == 2
        assert message in capsys.readouterr().err
    other = written(suite.with_name("other.toml"), suite.read_text().replace("steps = 1", "steps = 2"))
    assert run(["evaluate", "--suite", str(other), "-o", str(first), "-q"]) == 2
    assert "name another file" in capsys.readouterr().err


def test_clips_of_one_name_are_refused_and_masks_of_one_clip_are_kept_apart(tmp_path):
    for folder in "ab":
        clip_at(tmp_path / folder / "x.mp4")
    written(tmp_path / "list.csv", "clip,edit_prompt\na/x.mp4,snow\nb/x.mp4,snow\n")
    with pytest.raises(RequestError, match="have one name, x; rename one of them"):
        SuiteFile(tmp_path, "list.csv").items()
    suite = SuiteRun(SuiteFile(tmp_path, "list.csv"), tmp_path, "cpu")
    edits = [ClipEdit(tmp_path / "a/x.mp4", "x", "snow", mask=tmp_path / mask) for mask in ("m", "n", "m")]
    one, other, again = map(suite.white_masks, edits)
    assert one == again != other


def test_models_and_networks_are_known_names_or_lie_from_the_suites_folder_on(tmp_path):
    suite = SuiteFile(tmp_path, "list.csv", models=("pocket", "mine", "/far/own"), methods=("gen1",), lpips="nets/alex")
    assert [arm.model for arm in suite.arms] == ["pocket", str(tmp_path / "mine"), "/far/own"]
    assert {name: each and suite.located(each) for name, each in suite.networks.items()} == {
        "encoder": None,
        "preference": None,
        "lpips": str(tmp_path / "nets/alex"),
    }


def test_a_suite_measures_lpips_where_an_edit_has_a_mask(tmp_path):
    clip_at(tmp_path / "a.mp4", 1)
    Image.new("L", (48, 48)).save(tmp_path / "black.png")
    write_lpips(tmp_path / "lpips-alex")
    written(tmp_path / "list.csv", "clip,edit_prompt,mask\na.mp4,dog,black.png\na.mp4,cat,\n")
    suite = SuiteFile(tmp_path, "list.csv", methods=("gen1",), lpips="lpips-alex")
    masked, plain = suite.edits()
    clip_at(tmp_path / "edit.mp4", 2)
    found = [measured_edit(SuiteRun(suite, tmp_path, "cpu"), edit, tmp_path / "edit.mp4") for edit in (masked, plain)]
    assert found[0]["by"]["kept_lpips"] == "lpips-alex"
    assert "kept_lpips" not in found[1]["figures"]
