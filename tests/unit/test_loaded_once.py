"""An editor that is held reads each network of its model once."""

from collections import Counter
from fractions import Fraction

import pytest
import torch

import recast
from recast.model.folder import ModelFolder
from recast.types import Clip
from tiny_folder import written


@pytest.mark.filterwarnings("ignore::recast.errors.RecastWarning")
def test_three_edits_with_a_negative_prompt_open_each_network_once(tmp_path, monkeypatch):
    folder = written(tmp_path / "model")
    opened: Counter[str] = Counter()
    network = ModelFolder.network

    def counted(self, name, kind):
        opened[name] += 1
        return network(self, name, kind)

    monkeypatch.setattr(ModelFolder, "network", counted)
    editor = recast.load(folder)
    clip = Clip(torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8), Fraction(8))
    for method in ("gen1", "flowedit", "medm", "rerender", "sdedit", "tokenflow"):
        editor(clip, prompt="dog", negative="snow", method=method, steps=2)
    assert set(opened) >= {"unet", "vae", "depth_estimator", "prior", "text_encoder", "image_encoder"}
    assert set(opened.values()) == {1}
