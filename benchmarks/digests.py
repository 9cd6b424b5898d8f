"""Digests of what moves and renames must not change: `python benchmarks/digests.py`, before and after.

Pixels of an edit by gen1 and one by sdedit, the shards of two curated worlds, and the weights after 20 steps of
training on these, each by the command line, with one thread, in fp32. The same machine and versions give the same.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

WORDS = "a watercolor painting of a red dog in a snowy field"


def recast(*arguments: object) -> None:
    """Runs a command of ours; what it prints is shown where it fails."""
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "recast", *map(str, arguments)], env=alone, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"recast {' '.join(map(str, arguments))}\n{done.stderr}")


def digest(files: Iterable[Path]) -> str:
    """SHA-256 over the bytes of files, in the order of their names."""
    found = hashlib.sha256()
    for file in sorted(files):
        found.update(file.read_bytes())
    return found.hexdigest()[:16]


def digests(folder: Path) -> dict[str, str]:
    """What was made, by name."""
    source, shards, run = folder / "source", folder / "shards", folder / "run"
    recast("world", "--seed", 7, "--frames", 6, "--size", "192x192", "-o", f"{source}/", "-q")
    found = {}
    for method in ("gen1", "sdedit"):
        target = folder / method
        recast("edit", source, "-p", WORDS, "--method", method, "--seed", 3, "-o", f"{target}/", "-q")
        found[method] = digest(target.glob("*.png"))
    recast("curate", "world:2", "--model", "pocket", "-o", shards, "-q")
    found["shards"] = digest(shards.rglob("*.tar"))
    numbers = ("steps=20", "images=2", "clips=1", "accumulate=1", "precision=fp32", "keep_every=20")
    settings = [part for number in numbers for part in ("--set", number)]
    recast("train", "gen1-detail", "--data", shards, "--from", "pocket", *settings, "-o", run, "-q")
    return found | {"weights": digest([run / "weights.safetensors"])}


def main() -> None:
    """Prints the digests as JSON."""
    with TemporaryDirectory() as folder:
        print(json.dumps(digests(Path(folder)), indent=1))


if __name__ == "__main__":
    main()
