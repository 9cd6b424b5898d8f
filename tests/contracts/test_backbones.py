"""What every backbone keeps to, made in memory or opened from a folder."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from recast.backbones import BACKBONES, Backbone
from recast.backbones.tiny import SCHEDULER, tiny
from recast.diffusion.schedule import check_decreasing
from recast.errors import BackboneError, WeightsError
from recast.model.folder import ModelFolder
from recast.networks import save
from recast.types import Branch, Condition, Kind, Structure


def written(backbone, folder):
    """The backbone as a model folder in diffusers' layout."""
    save(backbone.net, folder)
    backbone.vae.save_pretrained(folder / "vae")
    projection = backbone.projection
    texts = {
        "scheduler/scheduler_config.json": SCHEDULER | {"_class_name": "DDIMScheduler"},
        "projection/config.json": {"image_embed_dim": 12, "cross_attention_dim": 16, "num_image_text_embeds": 2},
        "model_index.json": {"_class_name": "recast"},
        "recast.json": asdict(backbone.metadata),
    }
    for name, entries in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(entries))
    save_file(projection.state_dict(), folder / "projection" / "model.safetensors")
    return ModelFolder.found(folder)


@pytest.fixture(scope="module", params=["tiny", *BACKBONES])
def backbone(request, tmp_path_factory):
    if request.param == "tiny":
        return tiny(1)
    return BACKBONES[request.param](written(tiny(1), tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def frames():
    return torch.randint(0, 256, (3, 3, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def condition(backbone):
    planes = backbone.structure_channels(Structure(Kind.DEPTH, torch.rand(3, 1, 32, 48), detail=1))
    return Condition(backbone.embedding_tokens(torch.ones(12)), backbone.null_tokens(), planes)


def test_it_is_a_backbone_and_says_what_it_is(backbone):
    assert isinstance(backbone, Backbone)
    assert backbone.structure_kinds == {Kind.DEPTH, Kind.EDGES}
    assert (backbone.pixel_multiple, backbone.short_side, backbone.max_frames) == (8, 32, 16)


def test_levels_fall_to_zero(backbone):
    check_decreasing(backbone.sigmas(9))
    assert len(backbone.sigmas(9)) == 10


def test_frames_are_encoded_and_decoded_one_by_one(backbone, frames):
    latents = backbone.encode(frames)
    assert latents.shape == (3, 4, 4, 6)
    assert torch.equal(latents[1:2], backbone.encode(frames[1:2]))
    pixels = backbone.decode(latents)
    assert pixels.shape == frames.shape
    assert pixels.dtype == torch.uint8
    assert torch.equal(pixels[2:], backbone.decode(latents[2:]))


def test_pixels_are_clamped_and_rounded(backbone):
    pixels = backbone.decode(torch.full((1, 4, 4, 4), 1e4))
    assert pixels.min() >= 0
    assert pixels.max() <= 255


def test_no_content_has_the_shape_of_content(backbone):
    assert backbone.null_tokens().shape == backbone.embedding_tokens(torch.ones(12)).shape
    assert not backbone.null_tokens().any()


def test_embeddings_of_unit_length_differ_by_direction_only(backbone):
    unit = replace(backbone, metadata=replace(backbone.metadata, embedding_norm="unit"))
    vector = torch.arange(12.0)
    assert_close(unit.embedding_tokens(vector), unit.embedding_tokens(7 * vector))
    assert not torch.allclose(backbone.embedding_tokens(vector), backbone.embedding_tokens(-vector))


def test_one_answer_a_branch(backbone, frames, condition):
    x = backbone.encode(frames)
    branches = [Branch(condition.uncond, temporal=False), Branch(condition.cond), Branch(condition.cond)]
    answers = backbone.denoise_branches(x, 0.5, condition, branches)
    assert [answer.shape for answer in answers] == [x.shape] * 3
    assert_close(answers[1], answers[2])
    assert not torch.allclose(answers[0], answers[1], atol=1e-3)


def test_contents_of_different_lengths_are_asked_apart(backbone, frames, condition):
    x = backbone.encode(frames)
    short, long = Branch(condition.cond[:1]), Branch(condition.cond)
    assert_close(
        backbone.denoise_branches(x, 0.5, condition, [short, long]),
        [*backbone.denoise_branches(x, 0.5, condition, [short]), *backbone.denoise_branches(x, 0.5, condition, [long])],
    )


def test_a_single_frame_is_an_image(backbone, frames, condition):
    x, one = backbone.encode(frames[:1]), condition.at(torch.tensor([0]))
    video, image = backbone.denoise_branches(x, 0.5, one, [Branch(one.cond), Branch(one.cond, temporal=False)])
    assert torch.equal(video, image)


def test_at_little_noise_the_answer_is_what_it_is_given(backbone, frames, condition):
    x = backbone.encode(frames)
    [answer] = backbone.denoise_branches(x, 1e-4, condition, [Branch(condition.cond)])
    assert_close(answer, x, atol=1e-2, rtol=1e-2)


def test_answers_let_gradients_through(backbone, frames, condition):
    x = backbone.encode(frames).requires_grad_()
    [answer] = backbone.denoise_branches(x, 0.5, condition, [Branch(condition.cond)])
    answer.sum().backward()
    assert x.grad.abs().max() > 0


def test_missing_structure_is_refused(backbone, frames, condition):
    bare = replace(condition, structure_channels=None)
    with pytest.raises(BackboneError, match="needs 8 structure planes and was told none"):
        backbone.denoise_branches(backbone.encode(frames), 0.5, bare, [Branch(condition.cond)])


def test_half_precision_stays_near(backbone, frames, condition):
    half = replace(tiny(1), net=tiny(1).net.bfloat16(), vae=tiny(1).vae.bfloat16())
    latents = half.encode(frames)
    assert latents.dtype == torch.float32
    [answer], [expected] = (
        b.denoise_branches(latents, 0.5, condition, [Branch(condition.cond)]) for b in (half, backbone)
    )
    assert answer.dtype == torch.float32
    assert_close(answer, expected, atol=0.1, rtol=0.1)


def test_a_folder_gives_the_backbone_back(tmp_path, frames, condition):
    made = tiny(1)
    opened = BACKBONES["gen1"](written(made, tmp_path))
    branches = [Branch(condition.uncond, temporal=False), Branch(condition.cond)]
    x = made.encode(frames)
    assert_close(opened.encode(frames), x)
    assert_close(
        opened.denoise_branches(x, 2.0, condition, branches),
        made.denoise_branches(x, 2.0, condition, branches),
        atol=1e-4,
        rtol=1e-4,
    )
    assert opened.metadata == made.metadata
    assert opened.sigmas(5) == made.sigmas(5)


@pytest.mark.parametrize("part", ["unet", "temporal", "vae", "scheduler"])
def test_a_missing_part_is_named(tmp_path, part):
    folder = written(tiny(1), tmp_path)
    (tmp_path / part).rename(tmp_path / "elsewhere")
    with pytest.raises(WeightsError, match=f"no {part}"):
        BACKBONES["gen1"](folder)


def test_equal_prompts_for_each_frame_give_the_bits_of_one_prompt(backbone, frames, condition):
    x = backbone.encode(frames)
    one = Branch(condition.cond)
    each = Branch(condition.cond.expand(len(x), -1, -1))
    assert all(map(torch.equal, *(backbone.denoise_branches(x, 1.0, condition, [b]) for b in (one, each))))


def test_a_prompt_for_each_frame_reaches_its_frame_alone_where_frames_are_images(backbone, frames, condition):
    x = backbone.encode(frames)
    tokens = condition.cond.expand(len(x), -1, -1).clone()
    plain = backbone.denoise_branches(x, 1.0, condition, [Branch(tokens, temporal=False)])[0]
    tokens[1] = -tokens[1]
    other = backbone.denoise_branches(x, 1.0, condition, [Branch(tokens, temporal=False)])[0]
    assert torch.equal(plain[0], other[0])
    assert not torch.allclose(plain[1], other[1], atol=1e-3)
