"""Fetched repositories, and single functions and classes of their files made to run by themselves."""

import ast
import math
import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import einops
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

LARGEST_GAP = 1e-5
KEPT_DECORATORS = {"staticmethod", "classmethod", "property"}


class AbsentError(Exception):
    """A repository, file or definition is not there; says which."""


@dataclass(frozen=True)
class Repository:
    """A fetched repository. git: its git directory or work tree. commit: of HEAD."""

    git: Path
    commit: str

    @classmethod
    def found(cls, folder: Path, name: str) -> "Repository":
        """The repository owner/name in owner/name or owner+name, or in a folder `repo` there. Raises AbsentError."""
        for place in (folder / name, folder / name.replace("/", "+")):
            for git in (place, place / "repo"):
                if (git / ".git").exists() or (git / "HEAD").exists():
                    return cls(git, _git(git, "rev-parse", "HEAD").strip())
        raise AbsentError("not fetched")

    def text(self, path: str) -> str:
        """A file at HEAD. Raises AbsentError."""
        return _git(self.git, "show", f"HEAD:{path}")


class StandIn:
    """A module with some of its attributes changed; the others are its own."""

    def __init__(self, module: object, **changed: object) -> None:
        self.__dict__.update(changed, _module=module)

    def __getattr__(self, name: str) -> object:
        return getattr(self.__dict__["_module"], name)


@dataclass(frozen=True)
class Published:
    """A published file. load: runs some of its definitions."""

    repository: Repository
    path: str

    def load(self, *names: str, changed: dict[str, str] | None = None, **given: object) -> Any:  # noqa: ANN401 -- any
        """Definitions of these names, "Class.method" for one method as a function, run in one namespace.

        Annotations and decorators are left out, so that nothing needs what they name. changed: pieces of text and what
        takes their place, for faults that are put aside and sizes that are built in. given: names that the code reads,
        besides torch and the like. Raises AbsentError for a definition or a piece of text that is not there.
        """
        text = self.repository.text(self.path)
        for old, new in (changed or {}).items():
            if old not in text:
                raise AbsentError(f"{self.path} has no {old!r}")
            text = text.replace(old, new)
        tree = ast.parse(text)
        wanted = [_Bare().visit(_definition(tree, name, self.path)) for name in names]
        module = ast.fix_missing_locations(ast.Module(wanted, type_ignores=[]))
        namespace = _usual() | given
        exec(compile(module, self.path, "exec"), namespace)
        return SimpleNamespace(**{name.rpartition(".")[2]: namespace[name.rpartition(".")[2]] for name in names})

    def assigned(self, *names: str, within: str, **given: object) -> dict[str, Any]:
        """What a published function's assignments to these names, run alone and in order, leave of them.

        given: what else they read, besides torch and the like. Raises AbsentError for a name that is not assigned to.
        """
        tree = _definition(ast.parse(self.repository.text(self.path)), within, self.path)
        statements = [each for each in ast.walk(tree) if isinstance(each, ast.Assign | ast.AugAssign)]
        found = [each for each in statements if _target(each) in names]
        if missing := set(names) - {_target(each) for each in found}:
            raise AbsentError(f"{within} of {self.path} does not assign to {min(missing)}")
        module = ast.fix_missing_locations(ast.Module(sorted(found, key=lambda each: each.lineno), type_ignores=[]))
        namespace = _usual() | given
        exec(compile(module, self.path, "exec"), namespace)
        return {name: namespace[name] for name in names}


@dataclass(frozen=True)
class Check:
    """One comparison. method: ours, by its name or its file. compared: what of the published file and what of ours.

    gap: runs both and gives the largest difference. aside: what is known to differ and was put aside, or nothing.
    bound: the largest difference that agrees.
    """

    method: str
    repository: str
    path: str
    compared: str
    gap: Callable[[Published], float]
    aside: str = ""
    bound: float = LARGEST_GAP


def gap(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference of two tensors of one shape. Fails where there is nothing to compare."""
    assert ours.shape == theirs.shape, f"{tuple(ours.shape)} of ours and {tuple(theirs.shape)} of theirs"
    assert theirs.isfinite().all(), "the published code gave no finite numbers"
    assert len(theirs.unique()) > 1, "the published code gave the same number everywhere"
    return float((ours.double() - theirs.double()).abs().max())


def _git(folder: Path, *args: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *args], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AbsentError(done.stderr.strip().splitlines()[-1])
    return done.stdout


def _definition(tree: ast.AST, name: str, path: str) -> ast.stmt:
    for part in name.split("."):
        nodes = (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.ClassDef))
        found = [each for each in nodes if each.name == part]
        if not found:
            raise AbsentError(f"{path} has no {name}")
        tree = found[-1]
    return tree


def _target(statement: ast.Assign | ast.AugAssign) -> str:
    return ast.unparse(statement.target if isinstance(statement, ast.AugAssign) else statement.targets[0])


class _Bare(ast.NodeTransformer):
    """Leaves out annotations, decorators and imports of what need not be installed."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        node.decorator_list = [each for each in node.decorator_list if getattr(each, "id", "") in KEPT_DECORATORS]
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.decorator_list = []
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node


def _usual() -> dict[str, object]:
    """What nearly every published file imports."""
    plain = {"torch": torch, "np": np, "F": F, "nnf": F, "nn": nn, "math": math, "random": random}
    return plain | {"rearrange": einops.rearrange, "repeat": einops.repeat, "tqdm": lambda steps, **_: steps}
