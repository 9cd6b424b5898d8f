"""A clip moved towards words by a CLIP pair: its gradient is the loss's, silence is the plain edit, masks hold it."""

from fractions import Fraction
from math import hypot

import pytest
import torch
from test_sound_schedules import tone, wav
from torch.testing import assert_close

import recast
from recast.backbones.tiny import write_stable_diffusion
from recast.cli.app import run
from recast.conditions.clip_pair import ClipPair, WordDirection
from recast.curves import Curve, Keys
from recast.denoising import Branch
from recast.editing.clip_guidance import ClipGradient, views
from recast.editing.record import Record
from recast.errors import RequestError, WeightsError
from recast.types import Clip, Condition
from recast.video.record import embedded
from recast.video.write import save_clip
from tiny_folder import written

ASKED = {"prompt": "snow", "steps": 2, "cfg": 2.0, "size": (64, 32), "method": "sdedit", "strength": 0.5, "seed": 1}
pytestmark = pytest.mark.filterwarnings("ignore::recast.errors.RecastWarning")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The folder of a model that has both encoders."""
    return str(written(tmp_path_factory.mktemp("pair")))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_stable_diffusion(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def clip():
    rng = torch.Generator().manual_seed(0)
    return Clip(torch.randint(0, 256, (4, 3, 32, 64), generator=rng, dtype=torch.uint8), Fraction(8))


def test_words_are_reached_where_pictures_and_their_way_point_to_them():
    one, other, third = torch.eye(3)
    words = WordDirection(wanted=one, own=other)
    assert_close(words.off(other[None], one[None]), torch.zeros(1))  # from their own words to the wanted ones
    assert_close(words.off(one[None], other[None]), torch.tensor([1 + 2.0]))  # the other way
    assert_close(words.off(third[None], one[None]), torch.tensor([1 - 0.5]))  # there, by another way
    assert_close(WordDirection(one).off(third[None], one[None]), torch.zeros(1))


def _gradient(pair, model, clip, mask=None, scale=1.0):
    encoders = ClipPair.opened(pair, torch.device("cpu"))
    words = WordDirection.of(encoders, "snow", "grass")
    backbone = recast.load(model).model.backbone
    condition = Condition(backbone.prompt("snow"), backbone.null_tokens(), frames=torch.arange(4))
    return ClipGradient(backbone, clip, mask, encoders, words, scale), condition


def test_the_gradient_is_that_of_the_loss_in_every_direction(pair, model, clip):
    gradient, condition = _gradient(pair, model, clip, scale=Curve(Keys((0, 3)), (0.5, 2.0)))
    rng, sigma = torch.Generator().manual_seed(1), 0.8
    x, way = (hypot(1, sigma) * torch.randn(4, 4, 4, 8, generator=rng) for _ in range(2))

    def loss(latents):
        [clean] = gradient.backbone.denoise_branches(
            latents, sigma, condition, [Branch(condition.cond, temporal=False)]
        )
        each = zip(gradient.before, views((gradient.backbone.decode_pixels(clean) + 1) / 2), strict=True)
        off = torch.stack([gradient.words.off(one, gradient.pair.pictures.seen(view)[0]) for one, view in each])
        return (torch.tensor([0.5, 1.0, 1.5, 2.0]) * off.mean(0)).sum()

    step = 1e-3
    with torch.no_grad():
        slope = (loss(x + step * way) - loss(x - step * way)) / (2 * step)
    assert_close((gradient(x, sigma, condition) * way).sum(), slope, rtol=0.05, atol=1e-4)


def test_what_is_outside_of_the_mask_gives_no_gradient(pair, model, clip):
    nothing, half = torch.zeros(4, 1, 32, 64), torch.zeros(4, 1, 32, 64)
    half[..., :32] = 1
    shown = torch.rand(4, 3, 32, 64, requires_grad=True)
    gradient, condition = _gradient(pair, model, clip, half)
    [inside] = torch.autograd.grad(gradient._composited(shown, torch.arange(4)).square().sum(), shown)
    assert not inside[..., 32:].any()
    assert inside[..., :32].any()
    masked, condition = _gradient(pair, model, clip, nothing)
    assert not masked(torch.randn(4, 4, 4, 8), 0.8, condition).any()


def test_silent_frames_are_the_plain_edit_bit_for_bit_and_loud_ones_are_not(pair, model, clip, tmp_path):
    beat = wav(tmp_path / "beat.wav", tone([0.0, 0.8, 0.0, 0.4]))
    editor = recast.load(model)
    plain = editor(clip, **ASKED).frames
    driven = {"clip_guidance": f"sound(loudness of {beat}, 0..300)"}
    moved = editor(clip, **ASKED, clip_pair=pair, schedules=driven).frames
    apart = (moved.float() - plain.float()).abs().mean((1, 2, 3))
    assert apart[0] == apart[2] == 0
    assert apart[1] > apart[3] > 0
    assert torch.equal(editor(clip, **ASKED, clip_pair=pair, clip_guidance=0).frames, plain)
    windowed = editor(clip, **ASKED, clip_pair=pair, schedules=driven, window=2).frames
    assert_close(windowed.float(), moved.float(), atol=1.0, rtol=0)


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ({"method": "flowedit", "strength": 1.0}, "flowedit is not guided by a CLIP pair; .* take gen1, sdedit"),
        ({"prompt": ("snow", "a dog")}, "towards one prompt, and there are 2"),
    ],
)
def test_what_cannot_be_guided_is_refused(pair, model, clip, more, wrong):
    with pytest.raises(RequestError, match=wrong):
        recast.load(model)(clip, **ASKED | more, clip_pair=pair, clip_guidance=10)


def test_a_model_without_a_pair_asks_for_one(model, clip):
    with pytest.raises(WeightsError, match="--clip-pair pocket"):
        recast.load(model)(clip, **ASKED, clip_guidance=10)


def test_the_command_follows_a_sound_within_a_mask(pair, model, clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_clip(clip, tmp_path / "clip.mp4")
    mask = torch.zeros(4, 3, 32, 64, dtype=torch.uint8)
    mask[..., :32] = 255
    save_clip(Clip(mask, clip.fps), tmp_path / "mask")
    wav(tmp_path / "beat.wav", tone([0.1, 0.9, 0.3, 0.7]))
    asked = ["-p", "snow", "-m", model, "--method", "sdedit", "--steps", "2", "--mask", "mask", "--cuts", "none", "-q"]
    guided = ["--schedule", "clip_guidance=sound(loudness of beat.wav, 0..50)", "--clip-pair", pair]
    assert run(["edit", "clip.mp4", *asked, *guided, "-o", "out.mp4"]) == 0
    assert "beat.wav" in Record.from_json(embedded(tmp_path / "out.mp4")).inputs
    assert run(["rerun", "out.mp4", "-o", "again.mp4", "--trust", "-q"]) == 0
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "again.mp4").read_bytes()
