"""Edit prompts: from captions to lists that suites read; what goes to an endpoint, and what may come back."""

import csv
import json
import socket
from pathlib import Path

import pytest

import blip_folder
from chat_server import chat_server
from recast.cli.app import run
from recast.curation.captions import Captioner
from recast.errors import RecastError, RequestError
from recast.evaluation.endpoint import KEY_VARIABLE, TRIES, ChatEndpoint
from recast.evaluation.prompts.rewriters import KINDS, EditPrompts, EndpointRewriter, Rewriter, TemplateRewriter
from recast.evaluation.suites.layouts import LAYOUTS
from recast.video.read import Window, opened, read
from study_films import film

CAPTION = "A man rides a horse along a beach."


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two films, one with a caption beside it."""
    folder = tmp_path_factory.mktemp("clips")
    for number, name in enumerate(("told.mp4", "untold.mp4")):
        film(folder / name, number)
    (folder / "told.txt").write_text(CAPTION)
    return folder


def test_templates_change_one_thing_each_and_are_the_same_each_time():
    rewriter = TemplateRewriter()
    made = rewriter(CAPTION, KINDS, 3)
    assert isinstance(rewriter, Rewriter)
    assert made == TemplateRewriter()(CAPTION, KINDS, 3)
    assert made != TemplateRewriter(seed=1)(CAPTION, KINDS, 3)
    assert [each.kind for each in made] == [kind for kind in KINDS for _ in range(3)]
    assert len({each.prompt for each in made}) == 9
    by_kind = {kind: [each.prompt for each in made if each.kind == kind] for kind in KINDS}
    assert all(words.startswith("a man rides a horse along a beach, ") for words in by_kind["style"])
    assert all(
        words.startswith("a man rides a horse ") and "along a beach" not in words for words in by_kind["environment"]
    )
    assert all(
        words.endswith(" rides a horse along a beach") and "man" not in words.split() for words in by_kind["subject"]
    )
    owls = [each.prompt for each in TemplateRewriter()("A crow on a roof", ("subject",), 20)]
    assert {"an owl on a roof", "an eagle on a roof", "a parrot on a roof"} <= set(owls)
    assert TemplateRewriter()("Waves break", ("subject",), 3) == []


def test_the_list_is_one_that_suites_read_and_captions_come_from_beside_or_from_blip(clips, tmp_path, monkeypatch):
    def connected(*_args, **_more):
        raise AssertionError("something was sent somewhere")

    monkeypatch.setattr(socket, "create_connection", connected)
    blip = blip_folder.written(tmp_path / "blip")
    listed = tmp_path / "lists" / "list.csv"
    listed.parent.mkdir()
    asked = [str(clips / "told.mp4"), str(clips / "untold.mp4"), "-o", str(listed), "--captioner", str(blip), "-q"]
    assert run(["prompts", *asked, "--kinds", "style,environment", "--each", "2"]) == 0
    edits = list(LAYOUTS["table"](listed, listed.parent))
    assert [(edit.name, edit.kind) for edit in edits] == [
        (name, kind) for name in ("told", "untold") for kind in ("style", "environment") for _ in range(2)
    ]
    frames = read(opened(clips / "untold.mp4"), Window()).frames
    seen = Captioner.opened(str(blip))(frames[len(frames) // 2])
    assert [edit.source_words for edit in edits] == [CAPTION] * 4 + [seen] * 4
    assert run(["prompts", *asked]) == 2  # there is one already
    before = listed.read_bytes()
    assert run(["prompts", *asked, "--kinds", "style,environment", "--each", "2", "--overwrite"]) == 0
    assert listed.read_bytes() == before


def test_a_clip_that_nothing_describes_is_said(clips, tmp_path, capsys):
    assert run(["prompts", str(clips / "untold.mp4"), "-o", str(tmp_path / "a.csv"), "-q"]) == 2
    assert "write it into untold.txt beside it" in capsys.readouterr().err
    assert run(["prompts", str(clips / "told.mp4"), "-o", str(tmp_path / "a.csv"), "--kinds", "styl", "-q"]) == 2
    assert "no kind of edit 'styl', did you mean style" in capsys.readouterr().err


def answered(*prompts):
    return json.dumps({"prompts": [{"kind": kind, "prompt": words} for kind, words in prompts]})


def test_an_endpoint_gets_the_caption_alone_and_its_answer_becomes_rows(clips, tmp_path, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "a key")
    answer = answered(
        ("subject", "a robot rides  a horse"), ("style", CAPTION.lower()), ("style", "a comic"), ("style", "b c")
    )
    with chat_server(lambda _: f"```json\n{answer}\n```") as server:
        rest = ["--endpoint", server.url + "/", "--endpoint-model", "tiny", "-q"]
        assert run(["prompts", str(clips / "told.mp4"), "-o", str(tmp_path / "list.csv"), *rest]) == 0
    rows = list(csv.DictReader((tmp_path / "list.csv").read_text().splitlines()))
    # The caption itself is no edit, and one of a kind was asked for.
    assert [(row["kind"], row["edit_prompt"]) for row in rows] == [
        ("style", "a comic"),
        ("subject", "a robot rides a horse"),
    ]
    (body,), (headers,) = server.bodies, server.headers
    assert server.paths == ["/v1/chat/completions"]
    assert (body["model"], headers["Authorization"]) == ("tiny", "Bearer a key")
    assert CAPTION in body["messages"][0]["content"]
    assert not any(part in json.dumps(body) for part in (str(clips), "told.mp4", "a key"))
    assert not any("a key" in path.read_text() for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    "wrong",
    [
        "here are your prompts",
        "[]",
        answered(),
        answered(("mood", "a sad man")),
        answered(("style", "x" * 301)),
        answered(("style", "a\x1b[31mman")),
        answered(("style", "....")),
        json.dumps({"prompts": [{"kind": "style", "prompt": "a man", "run": "rm"}]}),
    ],
)
def test_an_answer_of_another_form_is_asked_again_and_then_refused(wrong):
    right = answered(("style", "a comic"))
    with chat_server(lambda body: right if len(body["messages"]) > 1 else wrong) as server:
        made = EndpointRewriter(ChatEndpoint(server.url, "tiny"))(CAPTION, ("style",), 1)
        assert [each.prompt for each in made] == ["a comic"]
        assert server.bodies[1]["messages"][1]["content"] == wrong
        server.answer = lambda _: wrong
        with pytest.raises(RecastError, match=f"answered {TRIES} times in another form"):
            ChatEndpoint(server.url, "tiny").ask("?", EditPrompts)
        assert len(server.bodies) == 2 + TRIES


def test_where_nothing_may_go_nothing_goes(monkeypatch):
    with chat_server(lambda _: 302) as server:
        with pytest.raises(RecastError, match="answered 302"):
            ChatEndpoint(server.url, "tiny").ask("?", EditPrompts)
        assert server.paths == ["/v1/chat/completions"]  # and not where it was sent on to
        server.answer = lambda _: 401
        with pytest.raises(RecastError, match="answered 401"):
            ChatEndpoint(server.url, "tiny").ask("?", EditPrompts)
    with pytest.raises(RecastError, match="does not answer"):
        ChatEndpoint(server.url, "tiny").ask("?", EditPrompts)
    for url in (
        "file:///etc/passwd",
        "ftp://a/b",
        "localhost:8000",
        "http://",
        "http://user@host/v1",
        "https://a/?k=1",
    ):
        with pytest.raises(RequestError, match="an endpoint is"):
            ChatEndpoint(url, "tiny")
    with pytest.raises(RequestError, match="which model"):
        ChatEndpoint("http://localhost/v1", "")
    monkeypatch.setenv(KEY_VARIABLE, "a key")
    with pytest.raises(RequestError, match="plain connection"):
        ChatEndpoint("http://models.test/v1", "tiny")
    assert ChatEndpoint("https://models.test/v1", "tiny").name == "tiny at models.test"
    assert "a key" not in repr(ChatEndpoint("https://models.test/v1", "tiny"))


@pytest.mark.footage
def test_templates_find_prompts_for_every_real_caption(footage: Path):
    with (footage / "PROMPTS.csv").open() as lines:
        captions = {row["source_caption"] for row in csv.DictReader(lines)}
    for caption in captions:
        kinds = [each.kind for each in TemplateRewriter()(caption, KINDS, 1)]
        assert kinds[:2] == ["style", "environment"], caption


@pytest.mark.parametrize(
    ("caption", "more", "message"),
    [
        (None, [], "there is no such file"),
        (b"a dog " * 60, [], "the caption has 359 characters; shorten it to 200"),
        (b"a dog\xff", [], "no text in UTF-8"),
        (b"a dog\x07 runs", [], "no text in UTF-8"),
        (b"a dog", ["--endpoint-model", "small"], "name that too, by --endpoint"),
    ],
)
def test_what_makes_no_list_is_one_line_and_no_file(caption, more, message, tmp_path, capsys):
    clip, target = tmp_path / "a.mp4", tmp_path / "list.csv"
    if caption is not None:
        film(clip, 0)
        clip.with_suffix(".txt").write_bytes(caption)
    assert run(["prompts", str(clip), "-o", str(target), "-q", *more]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not target.exists()


def test_a_folder_of_clips_and_a_place_that_is_none_are_refused(clips, tmp_path, capsys):
    assert run(["prompts", str(clips), "-o", str(tmp_path / "a.csv"), "-q"]) == 2
    assert "this has none; name files in it" in capsys.readouterr().err
    assert run(["prompts", str(clips / "told.mp4"), "-o", str(tmp_path / "none/a.csv"), "-q"]) == 2
    assert "make it first" in capsys.readouterr().err
    assert run(["prompts", str(clips / "told.mp4"), "-o", str(tmp_path), "--overwrite", "-q"]) == 2
    assert "is a folder; name a file" in capsys.readouterr().err
