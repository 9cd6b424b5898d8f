"""gen1-clip-words comes from its repositories' published layouts, and says what it can do."""

from shutil import copytree, rmtree

import pytest
import torch
from torch.testing import assert_close
from transformers import CLIPConfig, CLIPModel, CLIPVisionModelWithProjection

from hub import recast_models, served
from image_variations_folder import write_gen1_clip
from pipelines import opened
from recast.cli.app import run
from recast.conditions.content import ContentInput, Medium
from recast.model.folder import quiet
from recast.model.pulled import folder_of

NAME = "gen1-clip-words"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_gen1_clip(tmp_path_factory.mktemp("made"), words=True)


@pytest.fixture(scope="module")
def repositories(made, tmp_path_factory):
    """CLIP's has both encoders in one file; Karlo's and that of image variations have more than is taken."""
    root = tmp_path_factory.mktemp("repositories")
    images, karlo, clip = root / "variations", root / "karlo", root / "clip"
    copytree(made / "unet", images / "unet")
    copytree(made / "image_scheduler", images / "scheduler")
    for part in ("prior", "prior_scheduler", "text_encoder", "tokenizer"):
        copytree(made / part, karlo / part)
    (karlo / "tokenizer" / "special_tokens_map.json").write_text("{}")
    with quiet():
        vision = CLIPVisionModelWithProjection.from_pretrained(made / "image_encoder")
        both = CLIPModel(CLIPConfig(vision_config=vision.config.to_dict(), projection_dim=16))
        held = {name: weight for name, weight in vision.state_dict().items() if name in both.state_dict()}
        assert len(held) == len(vision.state_dict())
        both.load_state_dict(held, strict=False)
        both.save_pretrained(clip)
    copytree(made / "feature_extractor", clip, dirs_exist_ok=True)
    copytree(made / "vae", root / "sd15" / "vae")
    return {
        "lambdalabs/sd-image-variations-diffusers": images,
        "kakaobrain/karlo-v1-alpha": karlo,
        "openai/clip-vit-large-patch14": clip,
        "stable-diffusion-v1-5/stable-diffusion-v1-5": root / "sd15",
        "guoyww/animatediff-motion-adapter-v1-5-3": made / "motion_adapter",
        "lllyasviel/control_v11f1p_sd15_depth": made / "controlnet",
        "depth-anything/Depth-Anything-V2-Small-hf": made / "depth_estimator",
    }


@pytest.fixture(scope="module")
def home(repositories, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with served(repositories) as (endpoint, _):
        done = recast_models(home, "pull", NAME, "--yes", endpoint=endpoint)
    assert done.returncode == 0, done.stderr
    return home


def test_the_folder_is_the_one_made_by_hand(home, made, monkeypatch):
    monkeypatch.setenv("RECAST_HOME", str(home / "recast"))
    ours, theirs = opened(folder_of(NAME)), opened(made)
    assert_close(dict(ours.unet.named_parameters()), dict(theirs.unet.named_parameters()), atol=0, rtol=0)
    assert torch.equal(ours.no_words, theirs.no_words)
    words = [ContentInput(Medium.WORDS, "snow")]
    assert torch.equal(ours.encode_content(words, seed=1), theirs.encode_content(words, seed=1))
    frames = torch.randint(0, 256, (2, 3, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert_close(ours.source_content(frames), theirs.source_content(frames))


def test_what_it_can_do_is_told(home, monkeypatch, capsys):
    monkeypatch.setenv("RECAST_HOME", str(home / "recast"))
    assert run(["models", "info", NAME]) == 0
    abilities = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if len(line.split()) > 1)
    assert abilities["family"] == "image_variations"
    assert abilities["content"] == "picture; words"
    assert abilities["structure"] == "depth"


def test_a_repository_with_pickles_alone_is_told_before_anything_is_fetched(repositories, tmp_path):
    pickled = copytree(repositories["lambdalabs/sd-image-variations-diffusers"], tmp_path / "pickled")
    weights = pickled / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with served(repositories | {"lambdalabs/sd-image-variations-diffusers": pickled}) as (endpoint, fetched):
        refused = recast_models(tmp_path, "pull", NAME, "--yes", endpoint=endpoint)
    assert (refused.returncode, fetched) == (3, [])
    assert "lambdalabs/sd-image-variations-diffusers has no unet/diffusion_pytorch_model.fp16.safetensors" in (
        refused.stderr
    )
    rmtree(pickled)
