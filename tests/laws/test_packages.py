"""What is installed, declared and pinned fits together."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAMES = re.compile(r"[\w.-]+")


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements: list[str]) -> set[str]:
    return {normalized(NAMES.match(requirement)[0]) for requirement in requirements}


@pytest.fixture(scope="module")
def distributions() -> dict[str, set[str]]:
    return {module: {normalized(name) for name in names} for module, names in packages_distributions().items()}


def test_one_distribution_provides_cv2(distributions):
    assert distributions["cv2"] == {"opencv-python-headless"}


def test_torchvision_is_absent():
    assert find_spec("torchvision") is None


def test_every_package_that_the_code_imports_is_declared(distributions):
    extras = PROJECT["optional-dependencies"]
    used = chain.from_iterable(extras[name] for name in ("app", "train", "curate", "provenance", "ray"))
    may = declared([*PROJECT["dependencies"], *used])
    trees = {path: ast.parse(path.read_text()) for path in (ROOT / "src").rglob("*.py")}
    imported = {(name, path) for path, tree in trees.items() for name in _imported(tree)}
    foreign = {(name, path) for name, path in imported if name not in sys.stdlib_module_names | {"recast"}}
    undeclared = {f"{path.relative_to(ROOT)}: {name}" for name, path in foreign if not distributions[name] & may}
    assert not undeclared, "\n".join(["declare in pyproject.toml, or do without:", *sorted(undeclared)])


def _imported(tree: ast.Module) -> set[str]:
    whole = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    parts = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {name.partition(".")[0] for name in whole | parts}


def test_every_requirement_is_pinned():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == ["torchvision<0"]
    extras = chain.from_iterable(PROJECT["optional-dependencies"].values())
    assert declared([*PROJECT["dependencies"], *extras]) <= declared(lines)


def test_no_two_test_files_share_a_name():
    """Where two do, pytest reads neither."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_methods_are_listed_and_clips_curated_without_the_seconds_that_diffusers_takes_to_import():
    code = "import sys, recast.methods, recast.curation.curate; sys.exit('diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
