"""States of Python's, numpy's and torch's global random generators, as JSON."""

import random
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


def states() -> dict[str, object]:
    """All of them, of this process."""
    drawn = np.random.get_state(legacy=False)
    return {
        "python": random.getstate(),
        "numpy": drawn | {"state": drawn["state"] | {"key": drawn["state"]["key"].tolist()}},
        "torch": _text(torch.get_rng_state()),
        "cuda": [_text(state) for state in torch.cuda.get_rng_state_all()] if torch.cuda.is_initialized() else [],
    }


def restore(states: dict) -> None:
    """Goes on where `states` were taken."""
    version, keys, gauss = states["python"]
    random.setstate((version, tuple(keys), gauss))
    np.random.set_state(states["numpy"])
    torch.set_rng_state(_bytes(states["torch"]))
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([_bytes(state) for state in states["cuda"]][: torch.cuda.device_count()])


@contextmanager
def untouched() -> Iterator[None]:
    """What is drawn in the block is not missed after it."""
    before = states()
    try:
        yield
    finally:
        restore(before)


def _text(state: Tensor) -> str:
    return b64encode(state.numpy().tobytes()).decode()


def _bytes(text: str) -> Tensor:
    return torch.frombuffer(bytearray(b64decode(text)), dtype=torch.uint8)
