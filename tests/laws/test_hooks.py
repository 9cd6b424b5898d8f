"""Hooks see and change attention and features while they are in force, and leave no trace."""

from dataclasses import replace

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor
from einops import repeat
from torch.testing import assert_close

from hooked_backbone import FRAMES, CallRecord, Scaled, asked, conditioned, noisy, passing
from method_inputs import inputs_of
from recast.backbones.tiny import tiny, tiny_unet
from recast.denoising import Branch
from recast.errors import BackboneError
from recast.methods import METHODS
from recast.networks.attention import hooked
from recast.networks.hooks import SiteKind


@pytest.fixture(scope="module")
def backbone():
    return tiny(1)


@pytest.fixture(scope="module")
def condition(backbone):
    return conditioned(backbone, FRAMES)


def test_a_hook_that_only_attends_changes_no_bit(backbone, condition):
    assert_close(asked(backbone, condition, passing), asked(backbone, condition), rtol=0, atol=0)


def test_a_hook_that_only_attends_changes_no_bit_of_the_unfused_processor(condition):
    slow = tiny(1)
    slow.net.unet.set_attn_processor(AttnProcessor())
    assert_close(asked(slow, condition, passing), asked(slow, condition), rtol=0, atol=0)


def test_a_bare_image_network_takes_hooks_too():
    unet, record = tiny_unet(), CallRecord()
    inputs = noisy(2), torch.tensor(5), torch.ones(2, 3, 16)
    bare = unet(*inputs).sample
    with hooked(unet, record):
        assert torch.equal(unet(*inputs).sample, bare)
    assert {call.kind for call in record.calls} == {SiteKind.SELF, SiteKind.CROSS}
    assert {(len(call.q), call.sigma, call.branch, call.frames) for call in record.calls} == {(2, None, None, None)}


def test_calls_say_where_and_when_they_are(backbone, condition):
    record = CallRecord()
    asked(backbone, condition, record, sigma=2.0)
    assert {(call.sigma, call.frames) for call in record.calls} == {(2.0, (10, 11, 12))}
    of_kind = {kind: [call for call in record.calls if call.kind is kind] for kind in SiteKind}
    assert {call.branch for call in of_kind[SiteKind.SELF]} == {0, 1, 2}
    assert {call.branch for call in of_kind[SiteKind.TEMPORAL]} == {1, 2}
    for call in of_kind[SiteKind.SELF] + of_kind[SiteKind.CROSS]:
        assert call.q.shape[:2] == (FRAMES, call.grid[0] * call.grid[1])
    for call in of_kind[SiteKind.TEMPORAL]:
        assert call.q.shape[:2] == (call.grid[0] * call.grid[1], FRAMES)
    assert {call.k.shape[1] for call in of_kind[SiteKind.CROSS]} == {2}
    assert (4, 6) in {call.grid for call in record.calls}
    sites = dict(backbone.net.unet.named_modules())
    assert all(call.site in sites and call.heads == sites[call.site].heads for call in record.calls)


def state(net):
    modules = dict(net.named_modules())
    return {
        name: (
            id(module.__dict__.get("processor")),
            id(module.__dict__.get("_gradient_checkpointing_func")),
            list(module._forward_hooks.values()),
            list(module._forward_pre_hooks.values()),
            sorted(module.__dict__),
        )
        for name, module in modules.items()
    }


@pytest.mark.parametrize("fails", [False, True])
def test_no_trace_is_left(condition, fails):
    backbone = tiny(1)
    backbone.net.enable_gradient_checkpointing()
    before, keys, answer = state(backbone.net), list(backbone.net.state_dict()), asked(backbone, condition)

    def failing(_call, _attend):
        raise KeyError("a fault of a hook")

    hooks = (Scaled(2.0, *SiteKind), failing if fails else passing)
    try:
        asked(backbone, condition, *hooks)
    except KeyError:
        assert fails
    assert state(backbone.net) == before
    assert list(backbone.net.state_dict()) == keys
    assert backbone.pass_context.current is None
    assert_close(asked(backbone, condition), answer, rtol=0, atol=0)


@pytest.mark.parametrize("together", [True, False])
def test_no_trace_is_left_of_an_error_in_a_later_window(together):
    """Five frames in windows of four: the hook fails in the second one, in an edit with two branches."""
    own = tiny(1, together=together)
    inputs, seen = inputs_of(own, frames=5), set[tuple[int, ...] | None]()
    plain = METHODS["gen1"]()(inputs, own)

    class Failing:
        def interested(self, _site, kind):
            return kind is SiteKind.SELF

        def __call__(self, call, attend):
            seen.add(call.frames)
            if len(seen) > 1:
                raise RuntimeError("the hook failed")
            return attend(call)

    with pytest.raises(RuntimeError, match="the hook failed"), own.hooked(Failing()):
        METHODS["gen1"]()(inputs, own)
    assert len(seen) == 2
    assert torch.equal(METHODS["gen1"]()(inputs, own), plain)


def test_where_no_hook_is_interested_the_processor_stays(backbone):
    layers = {name: m for name, m in backbone.net.unet.named_modules() if hasattr(m, "processor")}
    before = {name: layer.processor for name, layer in layers.items()}
    with backbone.hooked(CallRecord(SiteKind.CROSS)):
        changed = {name for name, layer in layers.items() if layer.processor is not before[name]}
    assert changed == {name for name in layers if name.endswith("attn2") and ".temporal." not in name}


def test_batched_branches_are_branches_one_after_the_other(condition):
    answers, record = [], []
    for together in (True, False):
        seen = CallRecord()

        def doubled(call, attend):
            return attend(replace(call, q=call.q * (1 + call.branch)))

        answers.append(asked(tiny(1, together=together), condition, seen, doubled))
        record.append({(call.site, call.branch): call.q for call in seen.calls})
    assert_close(answers[0], answers[1], rtol=1e-5, atol=1e-5)
    assert record[0].keys() == record[1].keys()
    assert_close(record[0], record[1], rtol=1e-5, atol=1e-5)


def test_blocks_within_blocks_come_one_inside_the_other(backbone, condition):
    order = []

    def named(name):
        def hook(call, attend):
            order.append(name)
            return attend(call)

        return hook

    with backbone.hooked(named("outer")):
        before = state(backbone.net)
        asked(backbone, condition, named("inner"))
        after = state(backbone.net)
        between = order.copy()
        order.clear()
        asked(backbone, condition)
    assert between[:4] == ["outer", "inner"] * 2
    assert set(order) == {"outer"}
    assert [kept[0] for kept in before.values()] == [kept[0] for kept in after.values()]


def seeing_all(call, attend):
    """Self attention of each frame to the places of all frames."""
    if call.kind is not SiteKind.SELF:
        return attend(call)
    k, v = (repeat(each, "t n e -> b (t n) e", b=len(each)) for each in (call.k, call.v))
    return attend(replace(call, k=k, v=v))


def test_frames_may_see_each_other(backbone, condition):
    """Frames that are all alike see nothing new; others do, whatever their order, but for the rounding of sums."""
    alone = [Branch(condition.cond, temporal=False)]

    def answer(x, *hooks):
        flat = replace(condition, structure_channels=torch.zeros(FRAMES, 8, 4, 6))
        with backbone.hooked(*hooks):
            return backbone.denoise_branches(x, 2.0, flat, alone)[0]

    same, x, order = noisy()[:1].expand(FRAMES, -1, -1, -1), noisy(), [2, 0, 1]
    assert_close(answer(same, seeing_all), answer(same), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(answer(x, seeing_all), answer(x), atol=1e-3)
    assert_close(answer(x[order], seeing_all), answer(x, seeing_all)[order], rtol=1e-5, atol=1e-5)


def gradients(backbone, condition, *hooks):
    x = noisy().requires_grad_()
    answers = asked(backbone, condition, *hooks, x=x)  # backward comes after the block
    weights = [backbone.net.unet.conv_in.weight, *backbone.net.temporal_parameters()]
    return torch.autograd.grad(sum(answer.square().sum() for answer in answers), [x, *weights])


@pytest.mark.parametrize("selective", [False, True])
def test_gradient_checkpointing_gives_the_same_gradients(condition, selective):
    def sharpened(call, attend):
        return 0.5 * attend(replace(call, q=call.q * (2 + call.branch) * call.grid[1])) * call.sigma

    hooks = sharpened, Scaled(1.5, SiteKind.RESIDUAL, SiteKind.TRANSFORMER)
    plain, frugal = tiny(1), tiny(1)
    frugal.net.train().enable_gradient_checkpointing(selective=selective)
    expected = gradients(plain, condition, *hooks)
    assert_close(gradients(frugal, condition, *hooks), expected, rtol=1e-4, atol=1e-5)
    unhooked = gradients(plain, condition)
    assert not torch.allclose(expected[0], unhooked[0], rtol=0.01)


def test_feature_hooks_change_what_goes_on(backbone, condition):
    plain = asked(backbone, condition)
    for kind in (SiteKind.RESIDUAL, SiteKind.RESNET, SiteKind.TRANSFORMER, SiteKind.BLOCK):
        assert_close(asked(backbone, condition, Scaled(1.0, kind)), plain, rtol=0, atol=0)
        scaled = Scaled(2.0, kind)
        assert not torch.allclose(asked(backbone, condition, scaled)[0], plain[0])
        assert {(call.branch, call.frames) for call in scaled.calls} == {(b, (10, 11, 12)) for b in range(3)}
        assert {len(call.features) for call in scaled.calls} == {FRAMES}


def test_answers_of_a_wrong_shape_are_refused(backbone, condition):
    with pytest.raises(BackboneError, match=r"a hook answered \(1, 24, 16\) at down_blocks.*\(3, 24, 16\) is needed"):
        asked(backbone, condition, lambda call, attend: attend(call)[:1])


def test_layers_that_attend_in_a_way_of_their_own_are_refused():
    class Sliced(AttnProcessor):
        pass

    unet = tiny_unet()
    unet.set_attn_processor(Sliced())
    with pytest.raises(BackboneError, match="attn1 attends by Sliced"), hooked(unet, passing):
        pass
