"""Choice of the device, apart from what is computed on it: commands ask before a network is imported."""

import os
import sys
from pathlib import Path

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


def free_bytes(device: torch.device) -> int:
    """Bytes of the device's memory that this process has or could have; of the processor's what the system gives."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    if device.type == "mps":
        return torch.mps.recommended_max_memory()
    system = Path("/proc/meminfo")
    if not system.exists():
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    free = next(line for line in system.read_text().splitlines() if line.startswith("MemAvailable:"))
    return int(free.split()[1]) * 1024 + resident_bytes()


def given_bytes(vram: float | str, device: torch.device) -> int:
    """Bytes that an edit may take of a device's memory. vram: in GiB, or `auto` for what is free."""
    return round(vram * 2**30) if isinstance(vram, float) else free_bytes(device)


def resident_bytes() -> int:
    """Bytes of the system's memory that this process holds; where nothing tells, the most that it held so far."""
    held = Path("/proc/self/statm")
    if held.exists():
        return int(held.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource  # not everywhere

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
