"""`recast models FOLDER` lists and removes adapters, `recast info` shows one; neither reads a model or weights."""

import json

import pytest
import torch

from recast.cli.app import run
from recast.tuning.adapter import FACTS, TENSORS, Adapter, AdapterInfo, write_adapter

FACTS_OF = {
    "base": {"name": "pocket", "digest": "0123456789abcdef"},
    "changes": {"conv_in.bias": "whole"},
    "attention": "own",
    "positions": None,
    "steps": 7,
    "settings": {"rate": 1e-4, "rank": None},
    "recast": "0.1.0",
}


@pytest.fixture
def folder(tmp_path):
    """An adapter of a clip, one of a subject, and a folder that is none."""
    tensors = {"conv_in.bias:whole": torch.ones(4)}
    write_adapter(Adapter(AdapterInfo(method="one-shot", caption="a dog", **FACTS_OF), tensors), tmp_path / "dog")
    subject = {"token": "sks", "class_name": "cat"}
    info = AdapterInfo(method="customize-full", caption="sks cat", subject=subject, **FACTS_OF)
    write_adapter(Adapter(info, tensors), tmp_path / "cat")
    (tmp_path / "other").mkdir()
    return tmp_path


def test_a_list_says_of_each_adapter_what_it_is(folder, capsys):
    assert run(["models", str(folder), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert list(listed) == ["cat", "dog"]
    assert listed["dog"]["caption"] == "a dog"
    assert (listed["cat"]["token"], listed["cat"]["class"]) == ("sks", "cat")
    assert listed["dog"]["of"] == "pocket (0123456789ab)"
    (folder / "dog" / FACTS).write_text("{")
    assert run(["models", str(folder)]) == 0
    assert "damaged" in capsys.readouterr().out


def test_an_adapter_is_shown_without_its_weights(folder, capsys):
    (folder / "cat" / TENSORS).unlink()
    assert run(["info", str(folder / "cat")]) == 0
    printed = capsys.readouterr().out
    assert "token              sks" in printed
    assert "rate               0.0001" in printed
    assert "rank" not in printed
    assert run(["info", str(folder / "cat"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["subject"] == {"token": "sks", "class_name": "cat"}


def test_only_adapters_are_removed(folder, capsys):
    assert run(["models", str(folder), "--remove", "dog"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["cat", "other"]
    for wrong in (["--remove", "other"], ["--remove", "../x"]):
        assert run(["models", str(folder), *wrong]) == 2
    assert run(["models", "--remove", "pocket"]) == 2
    assert run(["models", str(folder / "other")]) == 2
    assert "there is no adapter in" in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == ["cat", "other"]
