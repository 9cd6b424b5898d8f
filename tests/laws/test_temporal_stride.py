"""Edits through an autoencoder that compresses time: as many latents as it makes, as many frames as the source has."""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from method_inputs import ABLE
from recast.backbones.backbone import Backbone
from recast.backbones.tiny import tiny
from recast.denoising import DenoiseInputs
from recast.diffusion.samplers import SAMPLERS
from recast.editing.loaded import Model
from recast.editing.mask import Mask
from recast.editing.prepared import prepare
from recast.editing.progress import Stage
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.editing.stages import generate
from recast.errors import BackboneError, RequestError
from recast.methods import METHODS
from recast.methods.needs import Need, lacking
from recast.types import Clip, Condition, Kind, Structure, latent_count
from tiny_folder import written
from video_backbone import video_backbone

OVER_LATENTS = {name: method for name, method in ABLE.items() if Need.FRAME_LATENTS not in method.needs}
ROWS, COLUMNS = 32, 40
LENGTHS = {1: 1, 2: 2, 5: 2, 7: 3, 9: 3, 10: 4}
"""Latents by frames."""


@pytest.fixture(scope="module")
def backbone():
    return video_backbone(tiny())


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    loaded = Model.loaded(str(written(tmp_path_factory.mktemp("model"))))
    return replace(loaded, backbone=video_backbone(loaded.backbone))


def clip(frames, first=0):
    rng = torch.Generator().manual_seed(0)
    drawn = torch.randint(0, 256, (frames, 3, ROWS, COLUMNS), generator=rng, dtype=torch.uint8)
    return Clip(drawn, Fraction(8), first)


def clip_inputs(backbone, frames, **settings):
    rng, made = torch.Generator().manual_seed(1), clip(frames, first=3)
    maps = torch.rand(frames, 1, ROWS, COLUMNS, generator=rng)
    channels = backbone.structure_channels(Structure(Kind.DEPTH, maps, detail=1.5))
    cond, own = (backbone.embedding_tokens(torch.randn(12, generator=rng)) for _ in range(2))
    condition = Condition(cond, backbone.null_tokens(), channels, made.latent_frames(4))
    usual = {"sampler": SAMPLERS["ddim"], "steps": 3, "window": 2, "seed": 7, "source": replace(condition, cond=own)}
    return DenoiseInputs(made, condition, temporal_stride=4, **usual | settings)


@pytest.mark.parametrize(("frames", "latents"), LENGTHS.items())
def test_time_is_compressed_and_comes_back(backbone, frames, latents):
    assert isinstance(backbone, Backbone)
    encoded, reports = backbone.encode(clip(frames).frames), []
    assert len(encoded) == latents == latent_count(frames, 4) == len(clip(frames).latent_frames(4))
    decoded = backbone.decode(encoded, lambda *step: reports.append(step))
    assert len(decoded) == 1 + 4 * (latents - 1)
    assert reports == [(done, latents) for done in range(1, latents + 1)]


def test_a_causal_autoencoder_gives_the_first_frames_their_own_latents(backbone):
    whole = backbone.encode(clip(9).frames)
    assert_close(backbone.encode(clip(5).frames), whole[:2])


@pytest.mark.filterwarnings("ignore:the walk back")  # two steps are few to invert by
@pytest.mark.parametrize("method", OVER_LATENTS.values(), ids=OVER_LATENTS)
@pytest.mark.parametrize("frames", [1, 7])
def test_methods_give_as_many_latents_as_the_source_has(backbone, method, frames):
    edited = method()(clip_inputs(backbone, frames, steps=2), backbone)
    assert edited.shape == (LENGTHS[frames], 4, ROWS // 8, COLUMNS // 8)
    assert edited.isfinite().all()


@pytest.mark.parametrize("method", OVER_LATENTS.values(), ids=OVER_LATENTS)
def test_strength_0_gives_the_source_back(backbone, method):
    inputs = clip_inputs(backbone, 7)
    assert torch.equal(method(strength=0.0)(inputs, backbone), backbone.encode(inputs.clip.frames))


def test_flowedit_under_equal_conditions_gives_the_source_back(backbone):
    inputs = clip_inputs(backbone, 9, cfg_scale=1.0)
    edited = METHODS["flowedit"]()(replace(inputs, source=inputs.condition), backbone)
    assert torch.equal(edited, backbone.encode(inputs.clip.frames))


def test_noise_belongs_to_the_frames_that_a_latent_stands_for(backbone):
    inputs = clip_inputs(backbone, 9)
    cut = inputs.condition.at(torch.tensor([1, 2]))
    later = replace(inputs, clip=clip(5, first=inputs.clip.first + 4), condition=cut, source=None)
    noise = inputs.noise(torch.zeros(3, 4, 4, 5))
    assert torch.equal(later.noise(torch.zeros(2, 4, 4, 5)), noise[1:])
    bare = Condition(inputs.condition.cond, inputs.condition.uncond)
    each = replace(inputs, condition=bare, source=None, temporal_stride=1)
    assert torch.equal(noise[1], each.noise(torch.zeros(5, 4, 4, 5))[4])


def test_a_latent_is_edited_as_far_as_any_of_its_frames(tmp_path):
    for index in range(7):
        Image.new("L", (COLUMNS, ROWS), 40 * index).save(tmp_path / f"{index}.png")
    mask = Mask(tmp_path, (ROWS, COLUMNS))
    each = mask.at((4, 5), 0, 7)
    shared = mask.at((4, 5), 0, 7, stride=4)
    assert shared.shape == (3, 1, 4, 5)
    assert torch.equal(shared, each[[0, 4, 6]])
    assert torch.equal(mask.at((4, 5), 2, 1, stride=4), each[2:3])


@pytest.mark.parametrize("method", ["gen1", "flowedit"])
@pytest.mark.parametrize("frames", [7, 9])
def test_a_masked_edit_keeps_the_sources_latents_and_frames(model, tmp_path, method, frames):
    half = Image.new("L", (COLUMNS, ROWS))
    half.paste(255, (0, 0, 8, ROWS))
    half.save(tmp_path / "mask.png")
    request = Request.asked(prompt="a red ball", method=method, steps=2, mask=tmp_path / "mask.png", feather=0)
    still = request.updated(strength=0)
    reports, (whole, untouched) = [], (resolve(each, model, clip(frames, first=2)) for each in (request, still))
    prepared = prepare(whole, model)
    edited = generate(whole, prepared, model, lambda *step: reports.append(step)).frames
    assert edited.shape == (frames, 3, ROWS, COLUMNS)
    again = generate(untouched, prepared, model).frames
    backbone = model.backbone
    assert torch.equal(again, backbone.decode(backbone.encode(prepared.clip.frames))[:frames])
    assert not torch.equal(edited[..., :8], again[..., :8])
    assert (Stage.DECODE, 2, 3) in reports


def test_a_window_of_frames_is_as_long_as_there_are_places_for_its_latents(model):
    request, places = Request.asked(prompt="a red ball", window=61), model.backbone.max_frames
    resolved = resolve(request, model, clip(7))
    assert places == latent_count(resolved.window, 4) == latent_count(61, 4) < latent_count(62, 4)
    with pytest.raises(RequestError, match=r"window is 62 frames and .* has places for 61; say 61 or less"):
        resolve(request.updated(window=62), model, clip(7))


@pytest.mark.parametrize(
    "method", sorted(name for name, method in METHODS.items() if Need.FRAME_LATENTS in method.needs)
)
def test_what_follows_frames_refuses_latents_that_frames_share(backbone, method):
    with pytest.raises((BackboneError, RequestError), match=r"frames (of this model )?share (a latent|latents)"):
        METHODS[method]()(clip_inputs(backbone, 7), backbone)
    assert lacking(METHODS[method].needs, backbone)
