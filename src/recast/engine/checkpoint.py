"""Checkpoints: written aside, hashed, put in place by one rename; read only if whole. Without pickle.

    RUN/step-000123/weights/*.safetensors    the network's weights and buffers, one file a process
                    averaged/*.safetensors   their running average
                    optimizer/*.safetensors  AdamW's moments
                    state.json               step, skipped steps, learning rate, configuration, versions
                    rng_state-00000.json     one file a process: the states of its random number generators
                    MANIFEST.json            hash and size of all of them
    RUN/LATEST                               the name of the newest

The safetensors are torch.distributed.checkpoint's: any number of processes reads what any other number wrote.
"""

import json
import shutil
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.api import CheckpointException

from recast.engine import manifest, rng_state
from recast.engine.distributed import Engine
from recast.engine.state import TrainState
from recast.errors import RecastError, RecastWarning, RequestError, WriteError
from recast.files import part_of, write_synced

KEPT = 3
LATEST, STATE = "LATEST", "state.json"
LONGEST_VALUE, MOST_NAMED = 40, 8
"""Characters of a setting in a message, and settings in one."""
FORMER_RNG_STATE = "chance"
"""What the files rng_state-*.json were called once; checkpoints that have it are read as well."""


@dataclass(frozen=True)
class Position:
    """How far a run is. skipped: steps that were not finite; in_a_row: those up to now without a good one between."""

    step: int = 0
    skipped: int = 0
    in_a_row: int = 0


def save(folder: Path, learner: TrainState, position: Position, configuration: Mapping, engine: Engine) -> None:
    """Writes `folder`/step-000123, then forgets all but the last three. All processes call it at the same step.

    Raises RecastError where a number is not finite, WriteError where the disk does not take it; older ones stay whole.
    """
    final = folder / f"step-{position.step:06d}"
    part = part_of(final)
    if not all(engine.all_gather(learner.is_finite())):
        raise RecastError(
            f"weights are NaN or Inf after step {position.step} and are not kept; older checkpoints in {folder} are "
            "whole: lower the learning rate, in another folder"
        )
    state = asdict(position) | {
        "rate": learner.optimizer.param_groups[0]["lr"],
        "configuration": dict(configuration),
        "processes": engine.world,
        "torch": torch.__version__,
        "moves": learner.step_counts(),
    }

    def complete() -> dict[str, dict]:
        if engine.first:
            write_synced(part / STATE, json.dumps(state, indent=1))
        write_synced(part / f"rng_state-{engine.rank:05d}.json", json.dumps(rng_state.states()))
        return {}

    def commit() -> None:
        if engine.first:
            manifest.commit(part, final, {name: digest for each in found for name, digest in each.items()})
            manifest.point(folder / LATEST, final.name)
            _prune(folder)

    _on_all(engine, part, lambda: _emptied(part) if engine.first else None)
    _write_tensors(part, learner.tensors())
    _on_all(engine, part, complete)
    found = _on_all(engine, part, lambda: manifest.digests(part, engine.rank, engine.world))
    _on_all(engine, part, commit)


def restored(folder: Path, learner: TrainState, configuration: Mapping, engine: Engine) -> Position:
    """Puts the newest whole checkpoint into `learner` and says how far it was; the start where there is none.

    Warns of each one that is damaged and sets it aside. Raises RecastError where none is whole, and RequestError
    where it is of another configuration.
    """
    paths = sorted(folder.glob("step-*[0-9]"), key=_step, reverse=True)
    for path in paths:
        faults = [fault for fault in engine.all_gather(manifest.fault(path, engine.rank, engine.world)) if fault]
        if not faults:
            return _read(path, learner, configuration, engine)
        if engine.first:
            warnings.warn(f"{path} is damaged ({faults[0]}) and is left out", RecastWarning, stacklevel=2)
            manifest.set_aside(path)
    if paths:
        raise RecastError(f"none of the {len(paths)} checkpoints in {folder} is whole; begin anew in another folder")
    return Position()


def kept_configuration(folder: Path) -> dict[str, object] | None:
    """The configuration of the run in `folder`, as its newest readable checkpoint has it; None before the first.

    Files are not checked against their hashes here; `restored` does that.
    """
    for path in sorted(folder.glob("step-*[0-9]"), key=_step, reverse=True):
        with suppress(OSError, ValueError, KeyError, TypeError):
            return dict(json.loads((path / STATE).read_text())["configuration"])
    return None


def _read(path: Path, learner: TrainState, configuration: Mapping, engine: Engine) -> Position:
    state = json.loads((path / STATE).read_text())
    _check(path, state["configuration"], configuration)
    learner.expect(state["moves"])
    for name, tensors in learner.tensors().items():
        if tensors:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="torch.distributed is disabled")
                dcp.load(tensors, storage_reader=HuggingFaceStorageReader(str(path / name)))
    for name in ("rng_state", FORMER_RNG_STATE):
        if (own := path / f"{name}-{engine.rank:05d}.json").exists():
            rng_state.restore(json.loads(own.read_text()))
            break
    return Position(state["step"], state["skipped"], state["in_a_row"])


def _check(path: Path, kept: Mapping, asked: Mapping) -> None:
    before, now = _flat(kept), _flat(json.loads(json.dumps(asked)))
    differ = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if differ:
        shown = (f"{name} {_shown(name, before)} there, {_shown(name, now)} asked for" for name in differ[:MOST_NAMED])
        differences = ", ".join(shown) + (f", and {len(differ) - MOST_NAMED} more" if len(differ) > MOST_NAMED else "")
        raise RequestError(f"{path} is of another run ({differences}); ask for the same, or train in another folder")


def _flat(settings: Mapping, before: str = "") -> dict[str, object]:
    """Settings by dotted names, so that of a group of them only those are named that differ."""
    flat = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {f"{before}{name}": value}
    return flat


def _shown(name: str, settings: Mapping[str, object]) -> str:
    """A setting in a message; of a digest its beginning, and "no value" where that version has no such setting."""
    text = repr(settings[name]) if name in settings else "no value"
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def _write_tensors(part: Path, groups: Mapping[str, Mapping[str, Tensor]]) -> None:
    for name, tensors in groups.items():
        if tensors:
            packed = {key: tensor.contiguous() for key, tensor in tensors.items()}
            writer = HuggingFaceStorageWriter(str(part / name), save_distributed=True)
            try:
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", message="torch.distributed is disabled")
                    dcp.save(packed, storage_writer=writer)
            except CheckpointException as error:
                reason = next((str(cause) for cause, _ in error.failures.values()), str(error))
                raise _unwritten(part, reason) from error


def _on_all(engine: Engine, part: Path, act: Callable[[], object]) -> list:
    """What every process answers; RecastError in all of them where one of them cannot write."""
    try:
        answer, reason = act(), None
    except OSError as error:
        answer, reason = None, str(error)
    answers = engine.all_gather((answer, reason))
    for _, reason in answers:
        if reason:
            raise _unwritten(part, reason)
    return [answer for answer, _ in answers]


def _unwritten(part: Path, reason: str) -> WriteError:
    free = shutil.disk_usage(part.parent).free / 2**30
    shutil.rmtree(part, ignore_errors=True)
    return WriteError(
        f"the checkpoint {part} could not be written ({reason}), with {free:.2f} GiB free there; those before it are "
        "whole: make room and start again, the run goes on from the last of them"
    )


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def _prune(folder: Path) -> None:
    whole = sorted(folder.glob("step-*[0-9]"), key=_step)
    for path in [*whole[:-KEPT], *folder.glob("step-*.damaged"), *folder.glob("step-*.part")]:
        shutil.rmtree(path, ignore_errors=True)


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))
