"""The page is what its server's policy allows: its own files, no markup from strings, no address of another machine."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "src" / "recast" / "app" / "page"
FILES = sorted(path for path in PAGE.iterdir() if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
MOST_LINES = 250
ELSEWHERE = re.compile(r"(?:https?:)?//(?!\s)[\w.-]+\.\w+")
NAMESPACE = "http://www.w3.org/2000/svg"
PARSED = re.compile(r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|new Function)\b")
IMPORTED = re.compile(r"""(?:from|import)\s*\(?"\./([\w.-]+)\"""")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_is_fetched_from_elsewhere(path):
    assert not ELSEWHERE.findall(path.read_text().replace(NAMESPACE, ""))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_short_typed_and_parse_no_markup(path):
    text = path.read_text()
    assert text.startswith("// @ts-check\n/** ")
    assert len(text.splitlines()) <= MOST_LINES
    assert not PARSED.findall(text)
    assert not [name for name in IMPORTED.findall(text) if not (PAGE / name).is_file()]


def test_the_markup_has_no_script_and_no_style_of_its_own():
    text = (PAGE / "index.html").read_text()
    assert not re.findall(r"\son\w+=|\sstyle=|<style|javascript:", text)
    named = re.findall(r'(?:src|href)="/page/([\w.-]+)"', text)
    assert len(named) >= 5
    assert not [name for name in named if not (PAGE / name).is_file()]


def test_every_script_is_part_of_the_page():
    seen, waiting = set(), ["main.js"]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += IMPORTED.findall((PAGE / name).read_text())
    assert {path.name for path in SCRIPTS} == seen
