"""What the documents say of the tree is so."""

import re
from pathlib import Path

import pytest

from recast.backbones.abilities import abilities_of_spec
from recast.diffusion.long_walks import LONG_WALKS
from recast.diffusion.noise_starts import NOISE_STARTS
from recast.methods import METHODS
from recast.model.folder import MODELS
from recast.model.specs import SPECS
from recast.tuning.config import SELECTORS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "recast"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
CODE = re.compile(r"`([\w./-]+(?:\.py|/))`")
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
LAW = re.compile(r"^\| `([\w-]+)` \| .* \| `([\w/.]+)::(\w+)` \|$", re.MULTILINE)
BASELINES = {"depth-frames", "sdedit-frames"}
"""Methods that are no system, but what systems are compared with."""
NOT_RUN = "so nothing on this page was run with them"
PLANNED = re.compile(r"will go to ([\w./-]+)")
CHANGES = {"a method", "a backbone family", "a structure", "content", "a hook", "a metric"} | {
    *("a case", "a recipe", "a tuner", "a job", "a page", "a command")
}
"""What ARCHITECTURE.md has to give a place to."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    broken = [link for link in LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert not broken


def test_the_architecture_names_what_exists():
    named = set(CODE.findall((ROOT / "ARCHITECTURE.md").read_text()))
    assert not {name for name in named if not (PACKAGE / name).exists()}


def test_the_architecture_names_every_part():
    parts = {path for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    names = {f"{part.name}/" if part.is_dir() else part.name for part in parts} - {"__init__.py"}
    assert not names - set(CODE.findall((ROOT / "ARCHITECTURE.md").read_text()))


def test_the_architecture_says_where_each_change_goes():
    rows = dict(ROW.findall((ROOT / "ARCHITECTURE.md").read_text().partition("## Where a change goes")[2]))
    assert set(rows) >= CHANGES
    assert not {wish for wish in CHANGES if not CODE.search(rows[wish])}


def test_what_is_planned_is_not_there_yet():
    planned = {name.rstrip(".,") for name in PLANNED.findall((ROOT / "ARCHITECTURE.md").read_text())}
    assert not {name for name in planned if (PACKAGE / name).exists()}


def test_every_method_has_a_law_and_the_law_is_a_test():
    rows = LAW.findall((ROOT / "docs" / "methods.md").read_text())
    assert [name for name, *_ in rows] == sorted(METHODS)
    tests = {(file, test): (ROOT / "tests" / file).read_text() for _, file, test in rows}
    assert not {test for (_, test), text in tests.items() if f"def {test}(" not in text}


def test_the_map_names_what_there_is():
    text = (ROOT / "docs" / "field.md").read_text()
    for kind, table in {"method": METHODS, "tuning": SELECTORS, "model": SPECS | MODELS}.items():
        named = {
            name
            for group in re.findall(rf"\b{kind}s? ((?:`[\w.-]+`(?:, )?)+)", text)
            for name in group[1:-1].split("`, `")
        }
        assert not {name.rstrip("`, ") for name in named} - set(table)
    assert set(METHODS) - {"gen1"} <= set(re.findall(r"`([\w.-]+)`", text)) | BASELINES


def test_every_model_by_name_has_its_row_on_one_page_which_has_the_commands():
    """Name, content, structure, licences and size as the package has them; and that no weights were at hand."""
    pages = {path.name: path.read_text() for path in (ROOT / "docs" / "models").glob("*.md")}
    on = {name: [page for page in pages if model_row(name) in pages[page].splitlines()] for name in SPECS}
    assert not {model_row(name) for name, held in on.items() if len(held) != 1}
    for page in {held[0] for held in on.values()}:
        text, names = pages[page], {name for name, held in on.items() if held == [page]}
        assert NOT_RUN in text, page
        assert names & set(re.findall(r"^recast models pull ([\w.-]+)", text, re.MULTILINE)), page
        assert names & set(re.findall(r"^recast (?:edit|mask) .*-m ([\w.-]+)", text, re.MULTILINE)), page


def model_row(name):
    """What a family's page has of a model by name."""
    spec = SPECS[name]
    content = " and ".join({"words": "words", "picture": "pictures"}[each] for each in sorted(spec.content)[::-1])
    structure = abilities_of_spec(spec).facts["structure"] if spec.edits else ()
    kinds = ", ".join(each for each in ("depth", "edges", "lineart", "hed", "pose") if each in structure)
    licences = "; ".join(spec.licences)
    return f"| `{name}` | {content or 'none'} | {kinds or 'none'} | {licences} | {spec.gigabytes:g} GB |"


def test_noises_and_ways_of_long_clips_are_described_and_the_map_names_none_that_is_not_there():
    noises = {*NOISE_STARTS, "freenoise", "freeinit"}
    described = set(re.findall(r"^\| `([\w-]+)` \|", (ROOT / "docs" / "generate.md").read_text(), re.MULTILINE))
    assert described == noises | set(LONG_WALKS)
    commands = (ROOT / "docs" / "field.md").read_text()
    assert set(re.findall(r"--noise ([\w-]+)", commands)) <= noises
    assert set(re.findall(r"--long ([\w-]+)", commands)) <= set(LONG_WALKS)


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_every_decision_is_listed():
    folder = ROOT / "docs" / "decisions"
    listed = set(LINK.findall((folder / "README.md").read_text()))
    assert {path.name for path in folder.glob("[0-9]*.md")} == listed


def test_the_card_in_the_package_is_the_one_that_is_written_with_the_model():
    package = ROOT / "src" / "recast"
    card, shipped = package / "recipes" / "pocket" / "card.md", package / "assets" / "pocket" / "README.md"
    assert shipped.read_text("utf-8") == card.read_text("utf-8")
