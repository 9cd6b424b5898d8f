"""Lists of clips and prompts are read in their published layouts."""

import json

import numpy as np
import pytest
from PIL import Image

from recast.errors import MediaError, RecastError
from recast.evaluation.suites.edits import white
from recast.evaluation.suites.layouts import LAYOUTS, ClipEdit

LOVEU_CHANGES = ("Style Change", "Object Change", "Background Change", "Multiple Changes")
HEAD = ("Video name", "Our GT caption", *(f"{each} Caption" for each in LOVEU_CHANGES))
LOVEU = f"""{",".join(HEAD)}
DAVIS Videos:,,,,,
stunt, A man jumps.,"A man jumps, anime style.",A bear jumps.,A man jumps on the moon.,"A bear jumps, anime style."
,,,,,
Youtube Videos:,,,,,
salsa,Two people dance.,"Two people dance, oil painting.",Two robots dance.,Two people dance at sea.,
"""


def written(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_loveus_list_gives_four_prompts_a_clip_and_skips_its_headings(tmp_path):
    prompts = written(tmp_path / "list.csv", "\ufeff" + LOVEU)
    video, frames = tmp_path / "DAVIS_480p/480p_videos/stunt.mp4", tmp_path / "youtube_480p/480p_frames/salsa"
    written(video, "")
    frames.mkdir(parents=True)
    edits = list(LAYOUTS["loveu-tgve-2023"](prompts, tmp_path))
    assert [edit.kind for edit in edits] == [
        "style",
        "object",
        "background",
        "multiple",
        "style",
        "object",
        "background",
    ]
    assert edits[0] == ClipEdit(video, "stunt", "A man jumps, anime style.", "style", "A man jumps.")
    assert {edit.clip for edit in edits[4:]} == {frames}
    video.unlink()
    with pytest.raises(MediaError, match="there is no clip stunt"):
        list(LAYOUTS["loveu-tgve-2023"](prompts, tmp_path))


def test_v2vbenchs_index_gives_each_prompt_of_each_clip(tmp_path):
    text = "data:\n- video_id: hike\n  prompt: a man hikes\n  edit:\n  - prompt: a bear hikes\n  - prompt: pixel art\n"
    prompts = written(tmp_path / "config.yaml", text + "- video_id: swan\n  edit:\n  - prompt: a duck\n")
    (tmp_path / "hike").mkdir()
    written(tmp_path / "swan.mp4", "")
    edits = list(LAYOUTS["v2vbench"](prompts, tmp_path))
    assert [edit.words for edit in edits] == ["a bear hikes", "pixel art", "a duck"]
    assert edits[0] == ClipEdit(tmp_path / "hike", "hike", "a bear hikes", "", "a man hikes")
    assert (edits[2].clip, edits[2].source_words) == (tmp_path / "swan.mp4", None)


def test_fives_lists_mark_words_and_bring_masks(tmp_path):
    row = {"video_name": "0001_bus", "editing_type_id": 3, "save_dir": "1"}
    rows = [row | {"source_prompt": "a [red] bus", "target_prompt": "a [blue] bus"}]
    prompts = written(tmp_path / "edit3_FiVE.json", json.dumps(rows))
    (tmp_path / "images/0001_bus").mkdir(parents=True)
    (tmp_path / "bmasks/0001_bus").mkdir(parents=True)
    clip, mask = tmp_path / "images/0001_bus", tmp_path / "bmasks/0001_bus"
    assert list(LAYOUTS["five"](prompts, tmp_path)) == [
        ClipEdit(clip, "0001_bus", "a blue bus", "colour", "a red bus", mask)
    ]
    mask.rmdir()
    assert next(LAYOUTS["five"](prompts, tmp_path)).mask is None


@pytest.mark.parametrize(
    ("layout", "text", "message"),
    [
        ("v2vbench", "data: 3", "should have, as 'data', a list of entries"),
        ("v2vbench", "data:\n- edit: []", "has no 'video_id'"),
        ("v2vbench", "a: [", "cannot be read"),
        ("v2vbench", "!!python/object/apply:os.system [ls]", "cannot be read"),
        ("five", "{}", "should have, as 'edits', a list of entries"),
        ("five", "[{}]", "has no 'video_name'"),
        ("five", "[" * 100_000, "cannot be read"),
    ],
)
def test_what_is_no_list_of_its_layout_is_one_line(layout, text, message, tmp_path):
    with pytest.raises(RecastError, match=message):
        list(LAYOUTS[layout](written(tmp_path / "list", text), tmp_path))


def test_davis_brings_the_mask_of_its_subject_in_white(tmp_path):
    prompts = written(
        tmp_path / "list.csv", "clip,edit_prompt,kind\ndog,a dog at sea,background\ndog,an oil painting,style\n"
    )
    (tmp_path / "JPEGImages/480p/dog").mkdir(parents=True)
    folder = tmp_path / "Annotations/480p/dog"
    folder.mkdir(parents=True)
    indices = np.zeros((6, 8), np.uint8)
    indices[2:4, 2:5], indices[5] = 1, 2
    picture = Image.fromarray(indices, "P")
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    picture.save(folder / "00000.png")
    background, style = LAYOUTS["davis"](prompts, tmp_path)
    assert (background.mask, background.side, style.mask) == (folder, "outside", None)
    made = white(folder, tmp_path / "white")
    with Image.open(made / "00000.png") as mask:
        assert np.array_equal(np.asarray(mask), np.where(indices, 255, 0))
    assert white(made, tmp_path / "again") == made


@pytest.mark.parametrize("layout", ["table", "davis"])
def test_a_row_without_words_is_refused_and_an_empty_one_is_none(layout, tmp_path):
    (tmp_path / "JPEGImages/480p/a").mkdir(parents=True)
    (tmp_path / "a").mkdir()
    rows = written(tmp_path / "list.csv", "clip,edit_prompt\na,snow\n,\na,\n")
    edits = LAYOUTS[layout](rows, tmp_path)
    assert next(edits).words == "snow"
    with pytest.raises(RecastError, match="line 4 of the list has no edit_prompt"):
        next(edits)
