"""The folder of an LPIPS with random weights, small enough for tests."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from recast.networks.lpips import LPIPS


def write_lpips(folder: Path, net: str = "alex") -> Path:
    """Makes the folder. Shares of channels are positive, as published ones are."""
    folder.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = LPIPS(net)
    weights = {name: held.abs() if name.startswith("lin") else held for name, held in network.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(f'{{"_class_name": "LPIPS", "net": "{net}"}}')
    return folder
