"""Container files name what there is: files of the tree, extras, commands and options of recast, the pinned torch."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from recast.cli.app import app

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "containers").glob("*.Dockerfile"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TORCH = re.search(r"^TORCH := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]


def lines(path, instruction):
    """What follows an instruction, continued lines joined."""
    text = re.sub(r"\\\n", " ", path.read_text())
    return re.findall(rf"^{instruction} (.+)$", text, re.MULTILINE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_container_copies_and_installs_what_there_is(path):
    copied = [name for line in lines(path, "COPY") for name in line.split()[:-1]]
    assert copied
    assert not [name for name in copied if not (ROOT / name).exists()]
    assert {"pyproject.toml", "constraints.txt", "src", PROJECT["readme"], *PROJECT["license-files"]} <= set(copied)
    text = path.read_text()
    extras = {name for group in re.findall(r"'\.\[([\w,]+)\]'", text) for name in group.split(",")}
    assert extras <= set(PROJECT["optional-dependencies"])
    assert TORCH in text
    assert f"-f containers/{path.name} " in text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_container_runs_commands_and_options_that_there_are(path):
    shown = re.sub(r"\\\n#", " ", path.read_text())
    asked = re.findall(r"^#.* recast ((?:edit|serve)\b.+)$", shown, re.MULTILINE)
    asked += [line.removeprefix("recast ") for line in lines(path, "RUN") if line.startswith("recast ")]
    commands = get_command(app).commands
    assert len(asked) == 3
    for line in asked:
        name, *arguments = shlex.split(line)
        options = {option for each in commands[name].params for option in (*each.opts, *each.secondary_opts)}
        assert not {each for each in arguments if re.fullmatch(r"--?[a-z][a-z-]*", each)} - options, line
    assert lines(path, "ENTRYPOINT") == ['["recast"]']


def test_there_is_one_for_the_processor_and_one_for_gpus():
    assert [path.name for path in FILES] == ["cpu.Dockerfile", "cuda.Dockerfile"]
