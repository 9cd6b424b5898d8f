"""The feature bank: what a stream of frames must be given by what went before."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from hooked_backbone import asked, conditioned, noisy
from linear_backbone import clip_inputs
from recast.backbones.tiny import tiny
from recast.methods.gen1 import Gen1
from recast.methods.streamv2v import StreamV2V
from recast.networks.feature_bank import BankedTokens, FeatureBank
from recast.networks.hooks import AttentionCall, SiteKind

PLACES, WIDTH = 6, 8


def call_of(frames=3, first=0, *, equal=False, seed=0):
    rng = torch.Generator().manual_seed(seed)
    parts = [torch.randn(1 if equal else frames, PLACES, WIDTH, generator=rng) for _ in range(3)]
    q, k, v = (part.expand(frames, -1, -1) for part in parts)
    numbers = tuple(range(first, first + frames))
    return AttentionCall("site", SiteKind.SELF, (2, 3), 2, q, q, k, v, 0.5, sigma=1.0, branch=0, frames=numbers)


def attend(call):
    return call.weighted(call.probabilities())


def test_the_first_frame_is_answered_as_without_a_bank():
    call = call_of()
    answers = FeatureBank(threshold=0.0, fusion=1.0)(call, attend)
    assert_close(answers[0], attend(call)[0])
    assert not torch.allclose(answers[1], attend(call)[1], atol=1e-3)


def test_the_second_frame_attends_to_itself_and_to_the_first():
    call = call_of(2)
    answers = FeatureBank(threshold=1.0, fusion=0.0)(call, attend)
    k, v = (part.reshape(1, -1, WIDTH) for part in (call.k, call.v))
    both = replace(call, hidden=call.hidden[1:], q=call.q[1:], k=k, v=v)
    assert_close(answers[1], attend(both)[0])


def test_equal_frames_have_equal_answers_however_many_there_are():
    answers = FeatureBank(threshold=0.9, fusion=0.8)(call_of(5, equal=True), attend)
    assert_close(answers, answers[:1].expand_as(answers), atol=1e-5, rtol=1e-5)


def test_fusion_takes_the_banks_most_similar_answer_above_the_threshold_only():
    call = call_of(2)
    plain = FeatureBank(threshold=1.0, fusion=0.0)(call, attend)
    cosine = torch.cosine_similarity(plain[1][:, None], plain[0][None], dim=-1)
    threshold = float(cosine.max(-1).values.median())
    fused = FeatureBank(threshold=threshold, fusion=1.0)(call, attend)[1]
    above = cosine.max(-1).values > threshold
    assert above.any()
    assert not above.all()
    assert_close(fused, torch.where(above[:, None], plain[0][cosine.argmax(-1)], plain[1]))


def test_answers_enter_the_bank_as_they_were_before_they_were_fused():
    call = call_of(5)
    banks = [FeatureBank(threshold=-1.0, fusion=fusion, interval=1) for fusion in (0.0, 1.0)]
    plain, fused = (bank(call, attend) for bank in banks)
    assert not torch.allclose(plain[1], fused[1], atol=1e-3)
    assert_close(banks[0].tokens["site", 0].answer, banks[1].tokens["site", 0].answer)


def test_the_banks_tokens_are_averaged_into_the_new_ones_whose_keys_are_most_like_theirs():
    x, y = torch.eye(2)
    bank = BankedTokens(k=torch.stack([x, x]), v=torch.stack([3 * x, 5 * x]), answer=torch.zeros(2, 2))
    new = BankedTokens(k=torch.stack([y, 2 * x]), v=torch.stack([7 * y, x]), answer=torch.ones(2, 2))
    merged = bank.merged(new)
    assert_close(merged.k, torch.stack([y, 4 / 3 * x]))
    assert_close(merged.v, torch.stack([7 * y, 3 * x]))
    assert_close(merged.answer, torch.tensor([[1.0, 1.0], [1 / 3, 1 / 3]]))


def test_a_frame_that_comes_again_does_not_enter_again():
    bank = FeatureBank(threshold=0.9, fusion=0.5)
    bank(call_of(3), attend)
    before = bank.tokens["site", 0]
    bank(call_of(2, first=1, seed=4), attend)
    assert bank.tokens["site", 0] is before
    bank(call_of(2, first=2, seed=5), attend)
    assert bank.tokens["site", 0] is not before


@pytest.mark.parametrize("interval", [1, 2])
def test_one_frame_of_an_interval_enters(interval):
    bank, entered = FeatureBank(threshold=0.9, fusion=0.5, interval=interval), []
    for frame in range(5):
        before = bank.tokens.get(("site", 0))
        bank(call_of(1, first=frame, seed=frame), attend)
        entered.append(bank.tokens["site", 0] is not before)
    assert entered == [frame % interval == 0 for frame in range(5)]


def test_branches_and_layers_have_banks_of_their_own():
    backbone = tiny(0)
    bank = FeatureBank(threshold=1.0, fusion=0.0)
    condition = conditioned(backbone, 3)
    together = asked(backbone, condition, bank)
    assert {branch for _, branch in bank.tokens} == {0, 1, 2}
    assert len(bank.tokens) == 3 * len({site for site, _ in bank.tokens})
    plain = asked(backbone, condition)
    for banked, without in zip(together, plain, strict=True):
        assert not torch.allclose(banked, without, atol=1e-4)
    one = asked(backbone, condition.at(torch.tensor([0])), FeatureBank(threshold=0.0, fusion=1.0), x=noisy()[:1])
    assert_close(one, asked(backbone, condition.at(torch.tensor([0])), x=noisy()[:1]))


def test_of_one_frame_streamv2v_is_the_walk_from_the_noised_source():
    backbone = tiny(0)
    inputs = clip_inputs(backbone)
    clip = replace(inputs.clip, frames=inputs.clip.frames[:1])
    one = replace(inputs, clip=clip, condition=inputs.condition.at(torch.tensor([0])), source=None)
    assert torch.equal(StreamV2V(strength=0.6)(one, backbone), Gen1(strength=0.6)(one, backbone))
    assert not torch.allclose(
        StreamV2V(strength=0.6)(inputs, backbone), Gen1(strength=0.6)(inputs, backbone), atol=1e-3
    )
