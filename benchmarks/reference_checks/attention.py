"""Self-attention over frames, and what is injected into it."""

from types import SimpleNamespace

import torch
from benchmarks.reference_checks.published import Check, Published, gap
from benchmarks.reference_checks.toys import PublishedAttention, attended, attention_layer, normal
from diffusers.models.resnet import ResnetBlock2D
from einops import rearrange
from torch import Tensor, nn

from recast.methods.injection import ATTENTION
from recast.methods.rerender import FirstAndPreviousAttention
from recast.networks.attention_recipes import (
    ExtendedAttention,
    FrameBank,
    ReferenceAttention,
    anchored,
    first_and_previous,
)
from recast.networks.hooks import FeatureCall, SiteKind
from recast.networks.recorded_attention import RecordAttention, ReplayAttention
from recast.networks.recorded_features import RecordFeatures, ReplayFeatures

FRAMES, PLACES = 4, 9


def sparse_causal(source: Published) -> float:
    """Tune-A-Video's attention to the first frame and the one before."""
    layer, hidden = attention_layer(), normal(FRAMES, PLACES, 8)
    forward = source.load("SparseCausalAttention.forward").forward
    theirs = forward(layer, hidden, video_length=FRAMES)
    return gap(attended(layer, hidden, ReferenceAttention(first_and_previous(0))), theirs)


def sparse_causal_in_windows(source: Published) -> float:
    """The same, when our frames come in windows of two."""
    layer, hidden = attention_layer(), normal(FRAMES, PLACES, 8)
    theirs = source.load("SparseCausalAttention.forward").forward(layer, hidden, video_length=FRAMES)
    hook = ReferenceAttention(first_and_previous(0), FrameBank(frozenset({0})))
    ours = [attended(layer, hidden[at : at + 2], hook, frames=(at, at + 1)) for at in range(0, FRAMES, 2)]
    return gap(torch.cat(ours), theirs)


def fatezero_sparse(source: Published) -> float:
    """FateZero's inflated self-attention, registered on a layer as the published code does it."""
    layer = attention_layer(type("SparseCausalAttention", (PublishedAttention,), {}))
    unet = nn.Module()
    unet.up_blocks = nn.Sequential(layer)
    register = source.load("register_attention_control", print=lambda *_: None).register_attention_control
    register(SimpleNamespace(unet=unet), None)
    hidden = normal(FRAMES, PLACES, 8)
    theirs = layer.forward(hidden, clip_length=FRAMES, SparseCausalAttention_index=["first", -1])
    return gap(attended(layer, hidden, ReferenceAttention(first_and_previous(0))), theirs)


def first_frame(source: Published) -> float:
    """Text2Video-Zero's cross-frame attention."""
    layer, hidden = attention_layer(), normal(FRAMES, PLACES, 8)
    layer.cross_attention_norm = False
    processor = source.load("CrossFrameAttnProcessor").CrossFrameAttnProcessor(unet_chunk_size=2)
    theirs = processor(layer, torch.cat([hidden.flip(0), hidden]))[FRAMES:]
    return gap(attended(layer, hidden, ReferenceAttention(anchored(0))), theirs)


def _fully_framed(source: Published, hidden: Tensor, **asked: object) -> tuple[PublishedAttention, Tensor]:
    layer = (
        source.load("FullyFrameAttention").FullyFrameAttention(8, heads=2, dim_head=4).double().requires_grad_(False)
    )
    ours = attention_layer()
    layer.load_state_dict(ours.state_dict())
    return ours, layer(hidden, video_length=FRAMES, **asked)


def all_frames(source: Published) -> float:
    """ControlVideo's attention to all frames."""
    hidden = normal(FRAMES, PLACES, 8)
    layer, theirs = _fully_framed(source, hidden)
    return gap(attended(layer, hidden, ExtendedAttention()), theirs)


def two_keys(source: Published) -> float:
    """ControlVideo's attention of frames between two keyframes."""
    hidden = normal(FRAMES, PLACES, 8)
    layer, theirs = _fully_framed(source, hidden, inter_frame=True)
    return gap(attended(layer, hidden, ReferenceAttention(anchored(0, FRAMES - 1))), theirs)


def dense(source: Published) -> float:
    """vid2vid-zero's dense attention."""
    layer, hidden = attention_layer(), normal(FRAMES, PLACES, 8)
    theirs = source.load("SpatialTemporalAttention.forward_dense_attn").forward_dense_attn(
        layer, hidden, video_length=FRAMES
    )
    return gap(attended(layer, hidden, ExtendedAttention()), theirs)


def frame_by_frame(source: Published) -> float:
    """Pix2Video's attention to stored inputs of the first frame and the one before."""
    old = type("CrossAttention", (PublishedAttention,), {})
    layer, hidden = attention_layer(old), normal(FRAMES, PLACES, 8)
    unet = nn.Sequential(layer)
    source.load("create_custom_diffusion", CrossAttention=old, print=lambda *_: None).create_custom_diffusion(unet, [])
    hook, gaps = ReferenceAttention(first_and_previous(0), FrameBank(frozenset({0}))), []
    for frame in range(FRAMES):
        own = hidden[frame : frame + 1]
        stored = torch.cat([hidden[:1], hidden[frame - 1 : frame]], dim=1) if frame else None
        theirs = layer.forward(own, self_attn_query_features_cond=stored)
        gaps.append(gap(attended(layer, own, hook, frames=(frame,)), theirs))
    return max(gaps)


def stored_contexts(source: Published) -> float:
    """Rerender's store of the first frame's and the previous frame's contexts, frame after frame."""
    layer, hidden = attention_layer(), normal(FRAMES, PLACES, 8)
    given = {"gc": SimpleNamespace(collect=lambda: None)}
    made = source.load("AttentionControl", **given).AttentionControl
    control = made(0.9, (0, 1), (0, 1), (0.8, 1), (0, 0.1))
    control.set_total_step(1)
    theirs = []
    for frame, own in enumerate(hidden.split(1)):
        control.set_task("keepstyle, updatestyle" if frame else "initfirst")
        context = control(own, False, "up")
        theirs.append(layer(own, encoder_hidden_states=context))
    return gap(attended(layer, hidden, FirstAndPreviousAttention()), torch.cat(theirs))


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
        "fatezero",
        "ChenyangQiQi/FateZero",
        "video_diffusion/prompt_attention/attention_register.py",
        "spatial_temporal_forward / ReferenceAttention",
        fatezero_sparse,
    ),
    Check(
        "one-shot tuning",
        "showlab/Tune-A-Video",
        "tuneavideo/models/attention.py",
        "SparseCausalAttention / ReferenceAttention",
        sparse_causal,
    ),
    Check(
        "one-shot tuning",
        "showlab/Tune-A-Video",
        "tuneavideo/models/attention.py",
        "SparseCausalAttention / FrameBank, in windows",
        sparse_causal_in_windows,
    ),
    Check(
        "text2video-zero",
        "Picsart-AI-Research/Text2Video-Zero",
        "utils.py",
        "CrossFrameAttnProcessor / ReferenceAttention",
        first_frame,
    ),
    Check(
        "controlvideo",
        "YBYBZhang/ControlVideo",
        "models/attention.py",
        "FullyFrameAttention / ExtendedAttention",
        all_frames,
    ),
    Check(
        "controlvideo",
        "YBYBZhang/ControlVideo",
        "models/attention.py",
        "FullyFrameAttention, inter_frame / ReferenceAttention",
        two_keys,
    ),
    Check(
        "vid2vid-zero's attention",
        "baaivision/vid2vid-zero",
        "vid2vid_zero/models/attention_2d.py",
        "SpatialTemporalAttention / ExtendedAttention",
        dense,
    ),
    Check(
        "pix2video",
        "duyguceylan/pix2video",
        "code/custom_utils.py",
        "new_forward, frame by frame / ReferenceAttention, FrameBank",
        frame_by_frame,
    ),
    Check(
        "rerender",
        "williamyang1991/Rerender_A_Video",
        "src/controller.py",
        "AttentionControl, frame by frame / FirstAndPreviousAttention",
        stored_contexts,
    ),
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
