"""The documents make a site: each has its place in it, links lead to pages, and its guides and notebooks run."""

import json
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from recast.backbones.families import BACKBONES
from recast.cli.app import run
from recast.methods import METHODS

ROOT = Path(__file__).parents[2]
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
REQUESTED = re.compile(r"""(?:src|href)=["'](?:https?:)?//[^"']+\.(?:css|js|woff2?|png|jpg|svg)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """What the site is built from."""
    folder = tmp_path_factory.mktemp("site") / "site"
    runpy.run_path(str(ROOT / "docs" / "make_pages.py"))["main"](folder)
    return folder


def named(nav):
    """Pages that a nav names."""
    if isinstance(nav, str):
        return [nav]
    return [page for each in (nav.values() if isinstance(nav, dict) else nav) for page in named(each)]


def test_every_page_is_in_the_nav_once_and_every_link_leads_to_a_file(site):
    docs = site / "docs"
    pages = sorted(str(path.relative_to(docs)) for path in docs.rglob("*.md"))
    assert sorted(named(yaml.safe_load((site / "mkdocs.yml").read_text())["nav"])) == pages
    broken = [
        f"{page}: {link}"
        for page in pages
        for link in LINK.findall((docs / page).read_text())
        if not (docs / page).parent.joinpath(link).is_file()
    ]
    assert not broken
    assert {path.stem for path in (docs / "methods").iterdir()} == set(METHODS)
    assert {path.stem for path in (docs / "families").iterdir()} == set(BACKBONES)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_site_builds_and_asks_nothing_of_other_machines(site):
    pytest.importorskip("zensical")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "-f", "mkdocs.yml"]
    subprocess.run(command, cwd=site, check=True, timeout=500)
    pages = list((site / "site").rglob("*.html"))
    assert len(pages) > len(METHODS) + len(BACKBONES)
    assert not [path.name for path in pages if REQUESTED.search(path.read_text())]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_what_a_guide_shows_runs(guide, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mask = np.zeros((144, 256), np.uint8)
    mask[40:100, 80:160] = 255
    Image.fromarray(mask).save("mask.png")  # what a reader paints
    names = {}  # that blocks of Python share
    blocks = BLOCK.findall(guide.read_text())
    assert len(blocks) >= 4
    for kind, text in blocks:
        if kind == "python":
            exec(compile(text, guide.name, "exec"), names)
            continue
        for line in text.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "recast"
            assert run(arguments) == 0, line
            monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = json.loads(notebook.read_text())["cells"]
    assert not any(cell.get("outputs") for cell in cells)
    names = {}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{notebook.name}, cell {number}", "exec"), names)
    pictures = [cell for cell in cells if "".join(cell["source"]).splitlines()[-1].startswith("sheet(")]
    assert len(pictures) >= 2
    assert names["sheet"](names["clip"]).size == (256 * len(names["clip"]), 144)


def test_there_are_four_notebooks_that_python_reads():
    assert len(NOTEBOOKS) == 4
    for notebook in NOTEBOOKS:
        for cell in json.loads(notebook.read_text())["cells"]:
            if cell["cell_type"] == "code":
                compile("".join(cell["source"]), notebook.name, "exec")
