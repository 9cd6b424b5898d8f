"""Gen-1's backbone: content is an embedding, and a folder gives back what was made in memory."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from recast.backbones.gen1 import opened
from recast.backbones.tiny import tiny
from recast.conditions.content import ContentEncoders, ContentInput, Medium
from recast.denoising import Branch
from recast.errors import BackboneError
from recast.model.folder import ModelFolder
from recast.types import Condition, Kind, Structure
from tiny_folder import written

CONTENT = [ContentInput(Medium.WORDS, "a red ball"), ContentInput(Medium.WORDS, "snow", 0.5)]


def test_it_reads_embeddings_and_drops_them_to_zeros():
    backbone = tiny(1)
    assert not backbone.null_tokens().any()
    unit = replace(backbone, metadata=replace(backbone.metadata, embedding_norm="unit"))
    vector = torch.arange(12.0)
    assert_close(unit.embedding_tokens(vector), unit.embedding_tokens(7 * vector))
    assert not torch.allclose(backbone.embedding_tokens(vector), backbone.embedding_tokens(-vector))
    with pytest.raises(BackboneError, match="made without encoders"):
        backbone.encode_content(CONTENT)


def test_content_is_its_encoders_embedding(tmp_path):
    folder = ModelFolder.found(written(tmp_path))
    backbone = opened(folder)
    embedding = ContentEncoders(folder, torch.device("cpu"))(CONTENT, 3)
    assert torch.equal(backbone.encode_content(CONTENT, seed=3), backbone.embedding_tokens(embedding))


def test_a_folder_gives_it_back(tmp_path):
    frames = torch.randint(0, 256, (3, 3, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    made = tiny()
    opened_again = opened(ModelFolder.found(written(tmp_path)))
    depth = Structure(Kind.DEPTH, torch.rand(3, 1, 32, 48, generator=torch.Generator().manual_seed(1)), detail=1)
    condition = Condition(torch.ones(2, 16), made.null_tokens(), made.structure_channels(depth))
    branches = [Branch(condition.uncond, temporal=False), Branch(condition.cond)]
    x = made.encode(frames)
    assert_close(opened_again.encode(frames), x)
    assert_close(
        opened_again.denoise_branches(x, 2.0, condition, branches),
        made.denoise_branches(x, 2.0, condition, branches),
        atol=1e-4,
        rtol=1e-4,
    )
    assert opened_again.sigmas(5) == made.sigmas(5)
