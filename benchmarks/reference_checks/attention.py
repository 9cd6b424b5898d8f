"""Self-attention over frames."""

from types import SimpleNamespace

import torch
from benchmarks.reference_checks.published import Check, Published, gap
from benchmarks.reference_checks.toys import (
    CHANNELS,
    SIDE,
    ClosedFormBackbone,
    PublishedAttention,
    attended,
    attention_layer,
    inputs,
    normal,
    prompts,
)
from torch import Tensor, nn

from recast.diffusion.parameterization import Prediction
from recast.methods.rerender import Rerender
from recast.networks.attention_recipes import (
    ExtendedAttention,
    FrameBank,
    ReferenceAttention,
    anchored,
    first_and_previous,
)
from recast.networks.hooks import DenoisePass, PassContext
from recast.networks.latent_shift import LatentShiftAttention
from recast.tuning.attention import OVER_FRAMES, OverFramesAttention

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


def tuned(source: Published) -> float:
    """The same as tuning has it, in a pass whose frames see each other."""
    layer, hidden, context = attention_layer(), normal(FRAMES, PLACES, 8), PassContext()
    theirs = source.load("SparseCausalAttention.forward").forward(layer, hidden, video_length=FRAMES)
    with context.on(DenoisePass(1.0, (0,), (True,), tuple(range(FRAMES)))):
        return gap(attended(layer, hidden, OverFramesAttention(context, OVER_FRAMES["first-previous"]())), theirs)


def latent_shift(source: Published) -> float:
    """SimDA's attention to a shifted frame, on eight by eight places."""
    layer, hidden = attention_layer(), normal(6, 64, 8)
    own = {
        "torch.cat([key[:, former_frame_index], key": "torch.cat([self.to_k(encoder_hidden)[None], key",
        "torch.cat([value[:, former_frame_index], value": "torch.cat([self.to_v(encoder_hidden)[None], value",
        "query = self.to_q(hidden_states)": "encoder_hidden = hidden_states; query = self.to_q(hidden_states)",
    }
    forward = source.load("SparseCausalAttention.forward", changed=own).forward
    return gap(attended(layer, hidden, LatentShiftAttention()), forward(layer, hidden, video_length=6))


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
    backbone = ClosedFormBackbone(normal(FRAMES, CHANNELS, SIDE, SIDE), [2.0, 1.0, 0.0], Prediction.NOISE)
    alone = Rerender(strength=1, keyframe_every=1, warp_until=0, fuse_from=1, fuse_until=1, colour_from=1)
    alone(inputs(backbone.source, prompts(), 2, 1.0), backbone)
    given = {"gc": SimpleNamespace(collect=lambda: None)}
    made = source.load("AttentionControl", **given).AttentionControl
    control = made(0.9, (0, 1), (0, 1), (0.8, 1), (0, 0.1))
    control.set_total_step(1)
    theirs = []
    for frame, own in enumerate(hidden.split(1)):
        control.set_task("keepstyle, updatestyle" if frame else "initfirst")
        context = control(own, False, "up")
        theirs.append(layer(own, encoder_hidden_states=context))
    return gap(attended(layer, hidden, *backbone.hooks), torch.cat(theirs))


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
        "SparseCausalAttention / first-previous",
        tuned,
    ),
    Check(
        "one-shot tuning",
        "showlab/Tune-A-Video",
        "tuneavideo/models/attention.py",
        "SparseCausalAttention / FrameBank, in windows",
        sparse_causal_in_windows,
    ),
    Check(
        "one-shot tuning",
        "ChenHsing/SimDA",
        "simda/models/attention.py",
        "SparseCausalAttention / LatentShiftAttention",
        latent_shift,
        "beside the shifted frame: the shifted frame before it there, the frame itself in ours",
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
        "vid2vid-zero",
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
        "AttentionControl, frame by frame / the hook of Rerender",
        stored_contexts,
    ),
)
