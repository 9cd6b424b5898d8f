"""Every error class: one remedy, one exit code, and a message that reaches the user as one line."""

import inspect

import pytest

from recast import errors
from recast.cli import app as program
from recast.errors import Cancelled, OutOfMemoryError, RecastError, WeightsError

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, RecastError)]
CODES = {
    1: {"NotFiniteError", "RecastError", "WriteError"},
    3: {"WeightsError", "ExtraError"},
    4: {"OutOfMemoryError"},
    75: {"Preempted"},
    130: {"Cancelled"},
}


@pytest.mark.parametrize("kind", CLASSES)
def test_all_are_under_one_roof_and_say_what_they_are(kind):
    assert kind.__doc__
    assert kind.__module__ == "recast.errors"


@pytest.mark.parametrize("kind", CLASSES)
def test_exit_codes_are_those_of_the_documents(kind):
    expected = next((code for code, names in CODES.items() if kind.__name__ in names), 2)
    assert kind.exit_code == expected


@pytest.mark.parametrize("kind", CLASSES)
def test_the_program_tells_each_in_one_line_and_returns_its_code(kind, monkeypatch, capsys):
    def raising(*_arguments, **_options):
        raise kind("first line\n  and second")

    monkeypatch.setattr(program, "app", raising)
    assert program.run([]) == kind.exit_code
    output = capsys.readouterr()
    assert output.err == "error: first line and second\n"
    assert not output.out


def test_our_own_bugs_are_told_as_such(monkeypatch, capsys):
    def raising(*_arguments, **_options):
        error = KeyError("depth")
        error.add_note("in stage structure")
        raise error

    monkeypatch.setattr(program, "app", raising)
    assert program.run([]) == 1
    assert capsys.readouterr().err.startswith("error: recast failed in stage structure, and should not: KeyError")


def test_debugging_shows_where(monkeypatch, capsys):
    def raising(*_arguments, **_options):
        raise WeightsError("no unet")

    monkeypatch.setattr(program, "app", raising)
    monkeypatch.setenv("RECAST_DEBUG", "1")
    assert program.run([]) == WeightsError.exit_code
    assert "Traceback" in capsys.readouterr().err


def test_nothing_but_the_user_stops_with_130():
    assert [kind for kind in CLASSES if kind.exit_code == 130] == [Cancelled]
    assert [kind for kind in CLASSES if kind.exit_code == 4] == [OutOfMemoryError]
