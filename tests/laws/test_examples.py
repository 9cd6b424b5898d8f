"""Laws of what the generator is trained on."""

import json
from dataclasses import replace

import torch
from torch.testing import assert_close

from recast.conditions.image import ImageEncoder
from recast.curation.encode import Cut, sample
from recast.curation.materials import SourceKind
from recast.curation.scan import Candidate
from recast.curation.settings import Settings
from recast.data.examples import Example, moments
from recast.data.storage import array
from recast.model.folder import ModelFolder
from tiny_folder import written


def example(given):
    return Example(given, torch.zeros(1, 2, 4, *given.shape[-2:]), (0.0,), torch.zeros(2, 12))


def test_latents_of_which_only_the_mode_is_known_are_never_drawn():
    latents = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(1))
    kept = example(moments(latents.half()))
    assert torch.equal(kept.latents(), latents.half().float())
    assert_close(kept.latents(noise), kept.latents(), rtol=0, atol=2e-6)


def test_drawn_latents_have_the_moments():
    given = torch.cat([torch.full((2, 4, 100, 100), 3.0), torch.full((2, 4, 100, 100), -2.0)], dim=1)
    drawn = example(given).latents(torch.randn(2, 4, 100, 100, generator=torch.Generator().manual_seed(0)))
    assert_close(drawn.mean().item(), 3.0, rtol=0, atol=0.01)
    assert_close(drawn.var().log().item(), -2.0, rtol=0, atol=0.02)


def test_a_sample_says_how_its_frames_were_fitted_for_the_embeddings(tmp_path):
    folder = str(written(tmp_path / "model"))
    frames = torch.randint(0, 256, (2, 3, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    candidate = Candidate("clip.mp4", SourceKind.VIDEO, 0, 1, 2, 0.0, 10.0, 48, 32, "48x32")
    members = sample(Cut(candidate, frames, None), Settings(model=folder, levels=2)).members
    encoder = ImageEncoder.opened(ModelFolder.found(folder), torch.device("cpu"))
    recorded = json.loads(members["json"])["keep_all"]
    fitted = {way: replace(encoder, keep_all=way).embeddings(frames).half().numpy() for way in (recorded, not recorded)}
    assert members["embeddings.npy"] == array(fitted[recorded])
    assert members["embeddings.npy"] != array(fitted[not recorded])
