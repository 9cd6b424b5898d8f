"""What is taken from the source's walk and put into the edit's."""

from types import SimpleNamespace

import torch
from benchmarks.reference_checks.published import Check, Published, gap
from benchmarks.reference_checks.toys import attended, attention_layer, normal
from diffusers.models.resnet import ResnetBlock2D
from einops import rearrange
from torch import Tensor, nn

from recast.methods.injection import ATTENTION
from recast.networks.attention_recipes import ExtendedAttention
from recast.networks.hooks import FeatureCall, SiteKind
from recast.networks.recorded_attention import RecordAttention, ReplayAttention
from recast.networks.recorded_features import RecordFeatures, ReplayFeatures

FRAMES, PLACES = 4, 9


def extended_and_injected(source: Published) -> float:
    """TokenFlow's keyframe attention with the source's queries and keys, over streams [source, uncond, cond]."""
    return _streams(source, "register_extended_attention_pnp", [ExtendedAttention()])


def injected(source: Published) -> float:
    """Plug-and-Play's injection of queries and keys, over streams [source, uncond, cond]."""
    return _streams(source, "register_attention_control_efficient", [])


def _streams(source: Published, register: str, inner: list[ExtendedAttention]) -> float:
    layer = attention_layer()
    hidden = normal(3, FRAMES, PLACES, 8)
    block = SimpleNamespace(transformer_blocks=[SimpleNamespace(attn1=layer)])
    blocks = [SimpleNamespace(attentions=[block] * 3)] * 4
    unet = SimpleNamespace(up_blocks=blocks, named_modules=list)
    seen = RecordAttention(parts=("q", "k"), kinds=frozenset({SiteKind.SELF}))
    replay = ReplayAttention(record=seen, parts=("q", "k"), branch=0)
    ours = [attended(layer, hidden[0], seen)]
    ours += [attended(layer, hidden[branch], replay, *inner, branch=branch) for branch in (1, 2)]
    getattr(source.load(register, isinstance_str=lambda *_: False), register)(SimpleNamespace(unet=unet), [7])
    layer.t = 7
    return gap(torch.cat(ours), layer.forward(rearrange(hidden, "s f n c -> (s f) n c")))


def injected_layers(source: Published) -> float:
    """Which layers of Stable Diffusion's decoder Plug-and-Play injects into."""
    unet = nn.Module()
    unet.up_blocks = nn.ModuleList(_decoder_block(attends=resolution > 0) for resolution in range(4))
    register = source.load("register_attention_control_efficient").register_attention_control_efficient
    register(SimpleNamespace(unet=unet), [])
    layers = {path: module for path, module in unet.named_modules() if path.endswith("attn1")}
    theirs = [float(hasattr(layer, "injection_schedule")) for layer in layers.values()]
    return gap(torch.tensor([float(ATTENTION.fullmatch(path) is not None) for path in layers]), torch.tensor(theirs))


def _decoder_block(*, attends: bool) -> nn.Module:
    block = nn.Module()
    block.attentions = nn.ModuleList(nn.Module() for _ in range(3 if attends else 0))
    for each in block.attentions:
        inner = nn.Module()
        inner.attn1 = attention_layer()
        each.transformer_blocks = nn.ModuleList([inner])
    return block


def injected_features(source: Published) -> float:
    """Plug-and-Play's injection of a residual block's features, over streams [source, uncond, cond]."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        block = ResnetBlock2D(in_channels=8, out_channels=8, temb_channels=None, groups=2).double()
    block.requires_grad_(False)
    x, t = normal(3, FRAMES, 8, 4, 4), 7
    record = RecordFeatures(kind=SiteKind.RESIDUAL, sites=ATTENTION)
    replay = ReplayFeatures(record=record, branch=0)
    answers = []
    for branch, stream in enumerate(x):

        def through(_module: nn.Module, _given: object, made: Tensor, branch: int = branch) -> Tensor:
            call = FeatureCall("block", SiteKind.RESIDUAL, made, 1.0, branch, tuple(range(FRAMES)))
            return (replay if branch else record).feature(call)

        handle = block.conv2.register_forward_hook(through)
        answers.append(block(stream, None))
        handle.remove()
    up = SimpleNamespace(up_blocks=[None, SimpleNamespace(resnets=[None, block])])
    source.load("register_conv_control_efficient").register_conv_control_efficient(SimpleNamespace(unet=up), [t])
    block.t = t
    return gap(torch.cat(answers), block.forward(rearrange(x, "s f c h w -> (s f) c h w"), None))


CHECKS = (
    Check(
        "tokenflow",
        "omerbt/TokenFlow",
        "tokenflow_utils.py",
        "extended attention with injection / ExtendedAttention, ReplayAttention",
        extended_and_injected,
    ),
    Check("pnp", "MichalGeyer/pnp-diffusers", "pnp_utils.py", "injected q and k / ReplayAttention", injected),
    Check("pnp", "MichalGeyer/pnp-diffusers", "pnp_utils.py", "which layers / ATTENTION", injected_layers),
    Check("pnp", "MichalGeyer/pnp-diffusers", "pnp_utils.py", "injected features / ReplayFeatures", injected_features),
)
