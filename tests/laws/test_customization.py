"""Customization: which rows see what, what is trained, what the token means, and exact resume."""

import json
import signal
from copy import deepcopy

import pytest
import torch
from torch.testing import assert_close

from recast.backbones import gen1, stable_diffusion
from recast.backbones.tiny import write_stable_diffusion
from recast.conditions.content import ContentInput, Medium
from recast.conditions.subject import NamedSubject
from recast.engine.config import BatchShard
from recast.errors import Preempted, RequestError
from recast.model.folder import ModelFolder
from recast.tuning.adapter import FACTS, read_adapter
from recast.tuning.customize import (
    CUSTOMIZERS,
    CachedPicture,
    CustomizeConfig,
    PictureSet,
    customization_loss,
    customize_adapter,
)
from recast.tuning.strips import drawn_subject
from recast.tuning.subjects import picture_tokens, reads_subject, subject_offset
from recast.tuning.tuned import with_adapters
from recast.types import Condition
from tiny_folder import written
from tuning_clips import BASE, cached, denoised

SUBJECT = NamedSubject("sks", "red ball")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {"gen1": written(root / "gen1"), "sd": write_stable_diffusion(root / "sd")}


def opened(family, folders):
    return {"gen1": gen1, "sd": stable_diffusion}[family].opened(ModelFolder.found(folders[family]))


def photos(count, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, 16, 16), generator=rng, dtype=torch.uint8)


def picture(backbone, frame, words):
    condition = Condition(picture_tokens(backbone, words, frame), backbone.null_tokens())
    if backbone.structure_kinds:
        planes = [torch.full((1, 8, 2, 2), level) for level in (0.0, 0.5)]
        conditions = [Condition(condition.cond, condition.uncond, each) for each in planes]
        return CachedPicture(backbone.encode(frame), tuple(conditions))
    return CachedPicture(backbone.encode(frame), (condition,))


def pictures(backbone):
    own = tuple(picture(backbone, frame, SUBJECT.named) for frame in photos(2).split(1))
    prior = tuple(picture(backbone, frame, SUBJECT.class_name) for frame in photos(3, seed=1).split(1))
    return PictureSet(SUBJECT, own, prior, BASE)


def quick(**settings):
    return CustomizeConfig(**{"steps": 2, "precision": "fp32", "rate": 1e-2, "rank": None} | settings)


def customized(family, folders, folder, config, **more):
    backbone = opened(family, folders)
    offset = subject_offset(backbone, SUBJECT, photos(2), config.seed)
    return backbone, customize_adapter(backbone, pictures(backbone), offset, config, folder, **more)


@pytest.mark.parametrize("family", ["gen1", "sd"])
@pytest.mark.parametrize("train", list(CUSTOMIZERS))
def test_every_trained_tensor_moves_and_the_frozen_ones_keep_their_bits(family, train, folders, tmp_path):
    plain = opened(family, folders)
    config = quick(train=train)
    before = deepcopy(plain.unet.state_dict())
    backbone, adapter = customized(family, folders, tmp_path / "a", config)
    assert_close(backbone.unet.state_dict(), before, atol=0, rtol=0)
    assert not any(weight.requires_grad for weight in backbone.unet.parameters())
    assert not [name for name in adapter.tensors if ".temporal." in name]
    # A change begins with no effect; what is not zero at first are LoRA's lower matrices and Gen-1's offset.
    initial = subject_offset(plain, SUBJECT, photos(2), 0).offset
    for key, tensor in adapter.tensors.items():
        if key == "subject:offset":
            assert torch.equal(tensor, initial) != (train == "embedding")
        else:
            assert tensor.abs().max() > 0
    whole = {name for name in dict(plain.unet.named_parameters()) if ".temporal." not in name}
    expected = {"full": whole, "embedding": set()}.get(train)
    trained = set(adapter.info.changes) - {"subject"}
    assert trained == expected if expected is not None else trained < whole
    assert ("subject" in adapter.info.changes) == (train == "embedding" or family == "gen1")


@pytest.mark.parametrize("family", ["gen1", "sd"])
def test_the_even_rows_of_a_batch_are_the_subjects_and_the_odd_ones_prior_data(family, folders):
    """A gradient of the loss by each picture's latents: which of them a part of the batch has seen."""
    backbone, config = opened(family, folders), quick(batch=8)
    shown = pictures(backbone)
    for each in (*shown.own, *shown.prior):
        each.latents.requires_grad_(True)
    loss = customization_loss(backbone, shown, config)
    whole = loss(backbone.unet, BatchShard(0))
    halves = []
    for part, among, others in ((0, shown.own, shown.prior), (1, shown.prior, shown.own)):
        share = loss(backbone.unet, BatchShard(0, part, 2))
        assert len(share.rows) == 4
        latents = [each.latents for each in (*among, *others)]
        found = torch.autograd.grad(share.mean, latents, allow_unused=True)
        assert any(gradient is not None for gradient in found[: len(among)])
        assert all(gradient is None for gradient in found[len(among) :])
        halves.append(share)
    assert_close(whole.rows[0::2], halves[0].rows)
    assert_close(whole.rows[1::2], halves[1].rows)
    assert_close(whole.mean, (halves[0].mean + halves[1].mean) / 2)
    light = customization_loss(backbone, shown, quick(batch=8, prior_weight=0.0))(backbone.unet, BatchShard(0))
    assert_close(light.mean, halves[0].mean / 2)


@pytest.mark.parametrize("family", ["gen1", "sd"])
def test_a_weight_of_0_is_the_model_and_1_is_what_was_trained(family, folders, tmp_path):
    config = quick(train="embedding", steps=3)
    _, adapter = customized(family, folders, tmp_path / "a", config)
    asked = [ContentInput(Medium.WORDS, "a sks in snow")]
    plain = opened(family, folders)
    assert with_adapters(plain, [(adapter, 0.0)]).backbone is plain
    of_class = plain.encode_content([ContentInput(Medium.WORDS, "a red ball in snow")])
    tokens = [with_adapters(plain, [(adapter, weight)]).backbone.encode_content(asked) for weight in (1e-9, 0.5, 1.0)]
    assert_close(tokens[0], of_class, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(tokens[1], tokens[2], atol=1e-4)
    # Prompts without the token mean the same.
    other = [ContentInput(Medium.WORDS, "blue snow")]
    changed = with_adapters(plain, [(adapter, 1.0)]).backbone
    assert_close(changed.encode_content(other), plain.encode_content(other), atol=1e-6, rtol=1e-6)
    # The bare token is the content that was learned.
    offset = subject_offset(plain, SUBJECT, photos(2), config.seed)
    offset.load_state_dict({"offset": adapter.offset})
    bare = changed.encode_content([ContentInput(Medium.WORDS, "sks")], seed=config.seed)
    assert_close(bare, offset().detach(), atol=1e-5, rtol=1e-5)


def test_the_token_is_a_word_beside_trained_weights_where_words_are_read(folders, tmp_path):
    _, adapter = customized("sd", folders, tmp_path / "a", quick(train="lora"))
    changed, plain = with_adapters(opened("sd", folders), [(adapter, 1.0)]).backbone, opened("sd", folders)
    for prompt in ("a sks by sea", "a sks red ball by sea", "a SKS by sea"):
        assert torch.equal(changed.prompt(prompt), plain.prompt("a sks red ball by sea"))
    assert changed.prompt.words("sks").words == plain.prompt.words("sks red ball").words
    clip = cached(changed)
    assert not torch.allclose(denoised(changed, clip), denoised(plain, clip), atol=1e-5)


def test_two_subjects_are_read_in_one_prompt(folders):
    plain, one, two = opened("sd", folders), torch.zeros(7, 16), torch.zeros(3, 16)
    both = reads_subject(reads_subject(plain, SUBJECT, one), NamedSubject("ohwx", "dog"), two)
    assert torch.equal(both.prompt("ohwx by a sks"), plain.prompt("dog by a red ball"))
    # An offset from one letter to another, behind a subject that was replaced, spells the other.
    letters = plain.prompt.tokenizer("cat dog", add_special_tokens=False)["input_ids"]
    table = plain.prompt.network.get_input_embeddings().weight
    offset = (table[letters[:3]] - table[letters[3:]]).detach()
    spelled = reads_subject(reads_subject(plain, SUBJECT, one), NamedSubject("ohwx", "dog"), offset)
    assert_close(spelled.prompt("sks and ohwx"), plain.prompt("red ball and cat"), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("family", "train"), [("gen1", "embedding"), ("sd", "lora")])
def test_a_resumed_customization_equals_an_uninterrupted_one_bit_for_bit(family, train, folders, tmp_path):
    config = quick(train=train, steps=3, batch=2)

    def stop(seen):
        if seen.step == 1:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Preempted):
        customized(family, folders, tmp_path / "halves", config, monitor=stop)
    steps = []
    _, resumed = customized(family, folders, tmp_path / "halves", config, monitor=lambda seen: steps.append(seen.step))
    assert steps == [3]  # a step that has begun is finished first
    _, whole = customized(family, folders, tmp_path / "whole", config)
    assert_close(resumed.tensors, whole.tensors, atol=0, rtol=0)
    assert {path.name for path in tmp_path.iterdir()} == {"halves", "whole"}


@pytest.mark.parametrize("family", ["gen1", "sd"])
def test_a_learned_token_knows_its_pictures_better(family, folders, tmp_path):
    """The mean loss over pictures, levels and noises that the training did not draw."""
    backbone, config = opened(family, folders), quick(train="embedding", steps=20, batch=2, rate=5e-2)
    shown, offset = pictures(backbone), subject_offset(backbone, SUBJECT, photos(2), 0)

    def mean():
        loss = customization_loss(backbone, shown, config, offset)
        with torch.no_grad():
            return sum(loss(offset, BatchShard(step)).mean.item() for step in range(1000, 1006)) / 6

    before = mean()
    customize_adapter(backbone, shown, offset, config, tmp_path / "a")
    assert mean() < before


def test_strips_show_pictures_above_and_samples_below_and_the_same_ones_each_time(folders, tmp_path):
    backbone = opened("gen1", folders)
    shown, seen = pictures(backbone), []
    drawer = drawn_subject(backbone, shown, seed=0)
    config, offset = quick(train="lora", steps=1, batch=2), subject_offset(backbone, SUBJECT, photos(2), 0)
    customize_adapter(backbone, shown, offset, config, tmp_path / "a", monitor=seen.append, samples=drawer)
    strip = seen[-1].samples_image
    assert strip.shape == (3, 32, 32)
    assert torch.equal(strip[:, :16, :16], backbone.decode(shown.own[0].latents)[0])
    assert torch.equal(drawer(backbone.unet), drawer(backbone.unet))
    assert not torch.equal(strip, drawer(backbone.unet))


def test_the_folder_says_whose_subject_it_holds(folders, tmp_path):
    customized("gen1", folders, tmp_path / "a", quick(train="lora"))
    facts = json.loads((tmp_path / "a" / FACTS).read_text())
    assert facts["subject"] == {"token": "sks", "class_name": "red ball"}
    assert (facts["method"], facts["caption"]) == ("customize-lora", "sks red ball")
    assert read_adapter(tmp_path / "a").info.scales


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"batch": 3}, "so it is even"), ({"train": "full", "rank": 4}, "only lora has one")],
)
def test_settings_that_do_not_go_together_are_refused(settings, message):
    with pytest.raises(RequestError, match=message):
        quick(**settings)


@pytest.mark.parametrize(
    ("token", "kind", "message"),
    [("my dog", "dog", "one word"), ("s1", "dog", "one word"), ("sks", " ", "--class"), ("Dog", "dog", "word of its")],
)
def test_tokens_that_no_prompt_could_hold_are_refused(token, kind, message):
    with pytest.raises(RequestError, match=message):
        NamedSubject(token, kind)
