"""What files say is shown on the terminal, and steers it nowhere."""

import json
import unicodedata
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from recast.cli import app
from recast.cli.table import tell, visible
from recast.errors import RecastWarning

CLIPBOARD, RED, TURNED = "\x1b]52;c;cm0gLXJm\x07", "\x9b31m", "\u202egnp.exe"


@given(st.text())
def test_nothing_visible_steers_a_terminal(text):
    seen = visible(text)
    assert not {unicodedata.category(each) for each in seen} & {"Cc", "Cs", "Zl", "Zp"}
    assert not set(seen) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert visible(seen) == seen
    seen.encode()


def test_words_of_all_scripts_stay_as_they_are():
    for words in ("naïve café", "雪の　町", "снег", "👩\u200d🚀 “x”", r"C:\x1b", "עברית"):
        assert visible(words) == words
    assert visible("a\x1b[31m\nb\x7f\x9b\u2028") == r"a\x1b[31m\x0ab\x7f\x9b\u2028"


def is_calm(text: str) -> bool:
    return not set(text) & set("\x1b\x07\x9b\x7f\u202e\r")


def test_facts_are_shown_one_a_line(capsys):
    tell({"notes": [CLIPBOARD, "two\nlines"], RED: {"x": TURNED}}, title=f"made {CLIPBOARD}")
    output = capsys.readouterr().out
    assert is_calm(output)
    assert len(output.splitlines()) == 4
    assert r"\x1b]52;c;cm0gLXJm\x07" in output


@pytest.fixture
def poisoned(tmp_path, monkeypatch) -> Path:
    """A folder of pictures whose record is full of escapes."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / f"shots{RED}"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "1.png")
    request = {"schema_version": 1, "source": CLIPBOARD, "words": [[TURNED, 1.0]]}
    worked = {"size": RED, CLIPBOARD: TURNED}
    model = {"name": RED, "digest": CLIPBOARD}
    record = {"recast": RED, "request": request, "model": model, "inputs": {}, "worked": worked, "notes": [RED]}
    (folder / "recast.json").write_text(json.dumps(record))
    return folder


def test_info_and_rerun_of_a_poisoned_record_are_calm(poisoned, capsys):
    assert app.run(["info", str(poisoned)]) == 0
    assert app.run(["info", "--json", str(poisoned)]) == 0
    assert app.run(["rerun", str(poisoned)]) != 0
    assert app.run(["info", f"none{CLIPBOARD}.mp4"]) == 2
    output = capsys.readouterr()
    assert is_calm(output.out)
    assert is_calm(output.err)
    assert r"\x1b]52" in output.out


def test_errors_and_warnings_are_calm(monkeypatch, capsys):
    def command(_arguments, **_settings):
        warnings.warn(f"by the way {CLIPBOARD}", RecastWarning, stacklevel=1)
        raise ValueError(RED)

    monkeypatch.setattr(app, "app", command)
    assert app.run([]) == 1
    output = capsys.readouterr().err
    assert is_calm(output)
    assert r"by the way \x1b]52" in output
    assert r"ValueError: \x9b31m" in output
