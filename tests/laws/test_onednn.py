"""Linear layers by oneDNN: the numbers of nn.Linear, whose own products stay for gradients and other formats."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from recast.networks import onednn
from recast.networks.onednn import LEAST_NUMBERS, OneDNNLinear, with_onednn
from recast.networks.placement import placed

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN here")


@pytest.fixture
def pair(monkeypatch):
    """A network, and its copy by oneDNN, on any processor."""
    monkeypatch.setattr(onednn, "gains", lambda: True)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(64, 96), nn.GELU(), nn.Linear(96, 32, bias=False))
    return network, placed(copy.deepcopy(network), "cpu")


@pytest.mark.parametrize("shape", [(512, 64), (2, 3, 90, 64), (1, 64), (64,), (0, 64)])
def test_answers_are_those_of_a_linear_layer(pair, shape):
    network, quick = pair
    x = torch.randn(shape)
    assert [type(layer) for layer in quick] == [OneDNNLinear, nn.GELU, OneDNNLinear]
    torch.testing.assert_close(quick(x), network(x))


def test_tensors_need_not_lie_in_order(pair):
    network, quick = pair
    x = torch.randn(6, 64, 100).transpose(1, 2)
    torch.testing.assert_close(quick(x), network(x))


def test_large_products_are_by_onednn_and_others_are_not(pair, monkeypatch):
    _, quick = pair
    seen = []
    monkeypatch.setattr(onednn.F, "linear", lambda *given: seen.append(given[0].shape) or torch.zeros(1, 96))
    quick[0](torch.randn(LEAST_NUMBERS // 64, 64))
    assert not seen
    quick[0](torch.randn(LEAST_NUMBERS // 64 - 1, 64))
    assert seen == [(LEAST_NUMBERS // 64 - 1, 64)]


def test_gradients_are_autograds(pair):
    network, quick = pair
    x = torch.randn(512, 64)
    of_input = [
        torch.autograd.grad(net(given).square().sum(), given)[0] for net in pair for given in [x.requires_grad_()]
    ]
    torch.testing.assert_close(*of_input)
    quick.requires_grad_(True)
    of_weights = [torch.autograd.grad(net(x).square().sum(), list(net.parameters())) for net in (network, quick)]
    torch.testing.assert_close(*of_weights)


def test_autocast_and_other_formats_are_heeded(pair):
    _, quick = pair
    x = torch.randn(512, 64)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert quick(x).dtype is torch.bfloat16
    assert quick.double()(x.double()).dtype is torch.float64


def test_layers_that_compute_something_else_stay(monkeypatch):
    class Doubled(nn.Linear):
        def forward(self, input):
            return 2 * super().forward(input)

    monkeypatch.setattr(onednn, "gains", lambda: True)
    network = nn.ModuleList([Doubled(4, 4), nn.Linear(4, 4)])
    with_onednn(network)
    assert [type(layer) for layer in network] == [Doubled, OneDNNLinear]


@pytest.mark.parametrize(
    ("maker", "has", "gains"),
    [("AuthenticAMD", "AVX512", True), ("AuthenticAMD", "AVX2", False), ("GenuineIntel", "AVX512", False)],
)
def test_it_is_for_processors_whose_avx512_mkl_leaves_unused(monkeypatch, maker, has, gains):
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: has)
    monkeypatch.setattr(onednn, "_maker", lambda: f"vendor_id: {maker}")
    assert onednn.gains.__wrapped__() is gains


def test_products_are_counted_as_those_of_linear_layers(pair):
    network, quick = pair
    counts = []
    for each in (network.requires_grad_(False), quick):
        with FlopCounterMode(display=False) as counter:
            each(torch.randn(2, 300, 64))
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] == 2 * 600 * (64 * 96 + 96 * 32)
