"""Choice of the device, apart from what is computed on it: commands ask before a network is imported."""

import torch

from recast.errors import RequestError


def chosen_device(name: str) -> torch.device:
    """What to compute on; `auto` takes the fastest there is. Raises RequestError for one that is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(name for name, found in there.items() if found))
    if not there.get(name, False):
        found = ", ".join(name for name, is_there in there.items() if is_there)
        raise RequestError(f"this machine has no {name} that torch can use; it has {found}: leave --device out")
    return torch.device(name)
