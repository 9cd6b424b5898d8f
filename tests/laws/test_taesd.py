"""A tiny decoder makes an edit's pictures, and the pictures on the way, where it is asked for and is here."""

import json

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from PIL import Image
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from pipelines import UNCHECKED, drawn, pipeline
from recast.backbones.taesd import TinyDecoder
from recast.backbones.tiny import write_stable_diffusion
from recast.cli.app import run
from recast.editing.edit import edit
from recast.editing.glimpse import Glimpse
from recast.editing.loaded import Model
from recast.editing.request import Request
from recast.errors import BackboneError, WeightsError
from recast.model.folder import quiet
from recast.model.pulled import PULLED, folder_of
from recast.video.read import Window, opened, read
from tiny_folder import clip_folder
from wan_folder import write_wan

SIZES = (8, 8, 8, 8)


def write_tiny_decoder(path, **config):
    blocks = {"num_encoder_blocks": (1,) * 4, "num_decoder_blocks": (1,) * 4}
    usual = {"encoder_block_out_channels": SIZES, "decoder_block_out_channels": SIZES} | blocks
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(6)
        network = AutoencoderTiny(**usual | config)
        with torch.no_grad():
            network.decoder.layers[-1].weight.mul_(8)  # random weights alone give nearly grey pictures
        network.save_pretrained(path)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Where pulled models are; taesd is."""
    monkeypatch.setenv("RECAST_HOME", str(tmp_path / "home"))
    write_tiny_decoder(folder_of("taesd") / "tiny_vae")
    for name in (PULLED, "model_index.json"):
        (folder_of("taesd") / name).write_text("{}")
    return tmp_path


def decoder_of(model):
    return TinyDecoder.opened(model.folder, model.backbone, device=model.device, dtype=model.dtype)


def test_its_pictures_are_those_of_the_pipeline_that_has_it_for_an_autoencoder(home):
    path, latents = write_stable_diffusion(home / "model"), drawn(2, 4, 4, 6, seed=0)
    with quiet():
        vae = AutoencoderTiny.from_pretrained(folder_of("taesd") / "tiny_vae")
    pipe, kept = pipeline(StableDiffusionPipeline, path, vae=vae, **UNCHECKED), []

    def keep(_pipe, _step, _timestep, tensors):
        kept.append(tensors["latents"])
        return tensors

    with quiet():
        theirs = pipe(
            ["snow"] * 2, latents=latents, num_inference_steps=2, output_type="pt", callback_on_step_end=keep
        ).images
    ours = decoder_of(Model.loaded(str(path))).decode(kept[-1])
    assert_close(ours, (255 * theirs).round().to(torch.uint8), rtol=0, atol=1)


def test_an_edit_is_decoded_by_it_where_that_is_asked_for(home):
    model, source = Model.loaded(str(write_stable_diffusion(home / "model"))), clip_folder(home / "clip", frames=4)
    request = Request.asked(source=source, prompt="snow", steps=1, method="gen1", size="48x32", enlarge="plain")
    made = {}
    for name, more in {
        "own": {},
        "tiny": {"decoder": "tiny"},
        "long": {"decoder": "tiny", "segment": 3, "window": 3},
    }.items():
        asked = request.updated(target=home / f"{name}.mkv", **more)
        result = edit(asked, model)
        made[name] = read(opened(asked.target), Window()).frames
        assert json.loads(result.record.to_json())["request"]["decoder"] == asked.decoder
    assert made["tiny"].shape == made["long"].shape == made["own"].shape
    assert not torch.equal(made["tiny"], made["own"])
    assert torch.equal(made["long"][:1], made["tiny"][:1])


def test_the_picture_on_the_way_is_its_own(home):
    model, source = Model.loaded(str(write_stable_diffusion(home / "model"))), clip_folder(home / "clip", frames=1)
    request = Request.asked(source=source, prompt="snow", steps=2, method="gen1", size="48x32", enlarge="plain")
    request = request.updated(target=home / "made.mkv", decoder="tiny")
    edit(request, model, look=Glimpse(home / "look.jpg", model.backbone, model.tiny_decoder))
    [shown] = read(opened(request.target), Window()).frames
    with Image.open(home / "look.jpg") as picture:
        small = picture.resize((shown.shape[-1], shown.shape[-2]), Image.Resampling.BOX)
    whole, small = shown.float(), torch.from_numpy(np.array(small)).permute(2, 0, 1).float()
    assert whole.std(dim=(1, 2)).max() > 10
    assert (whole - small).abs().mean() < 5


def test_a_folder_may_hold_its_own(home):
    path = write_stable_diffusion(home / "model")
    write_tiny_decoder(path / "tiny_vae")
    with torch.no_grad():
        other = AutoencoderTiny.from_pretrained(path / "tiny_vae")
        other.decoder.layers[-1].bias.add_(1)
        other.save_pretrained(path / "tiny_vae")
    held = decoder_of(Model.loaded(str(path)))
    assert_close(held.network.decoder.layers[-1].bias, other.decoder.layers[-1].bias)


@pytest.mark.usefixtures("home")
def test_a_decoder_alone_is_no_model_that_edits(capsys):
    with pytest.raises(WeightsError, match="is for --decoder tiny with other models, and edits nothing by itself"):
        Model.loaded("taesd")
    assert run(["models", "info", "taesd"]) == 0
    assert "--decoder tiny with other models, and no edits" in capsys.readouterr().out


def test_what_is_not_here_or_of_other_latents_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setenv("RECAST_HOME", str(tmp_path / "none"))
    path, source = write_stable_diffusion(tmp_path / "model"), clip_folder(tmp_path / "clip", frames=2)
    model = Model.loaded(str(path))
    assert model.tiny_decoder is None
    asked = Request.asked(source=source, target=tmp_path / "out.mkv", prompt="snow", steps=1, decoder="tiny")
    with pytest.raises(WeightsError, match="`recast models pull taesd` brings it, 10 MB, under MIT"):
        edit(asked, model)
    write_tiny_decoder(path / "tiny_vae", latent_channels=16)
    with pytest.raises(WeightsError, match="16 channels and gives 8 pixels a latent, and the model has 4 and 8"):
        decoder_of(model)
    config = json.loads((path / "vae" / "config.json").read_text()) | {"scaling_factor": 0.5}
    (path / "vae" / "config.json").write_text(json.dumps(config))
    (path / "tiny_vae").rename(tmp_path / "elsewhere")
    with pytest.raises(BackboneError, match=r"latents of 4 channels and the scaling factor 0\.5"):
        decoder_of(Model.loaded(str(path)))
    with pytest.raises(BackboneError, match="frames of this model share latents"):
        decoder_of(Model.loaded(str(write_wan(tmp_path / "wan"))))


def test_at_real_size_a_frame_costs_a_small_part_of_the_autoencoders():
    """Counted on the meta device: products of a frame of 448x256 and weights, as docs/models.md has them."""
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    with torch.device("meta"):
        tiny, own = (
            AutoencoderTiny(),
            AutoencoderKL(block_out_channels=(128, 256, 512, 512), layers_per_block=2, **blocks),
        )
    counted = []
    for network in (tiny, own):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network.decode(torch.zeros(1, 4, 32, 56, device="meta"))
        counted.append((counter.get_total_flops() / 1e12, sum(each.numel() for each in network.decoder.parameters())))
    assert [(round(flops, 2), round(weights / 1e6, 1)) for flops, weights in counted] == [(0.06, 1.2), (1.09, 49.5)]
