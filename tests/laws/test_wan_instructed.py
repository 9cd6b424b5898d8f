"""Networks of Wan that read the clip: Lucy-Edit is diffusers' own, Bernini's renderer its blocks called by hand."""

from dataclasses import replace

import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.pipelines.lucy.pipeline_lucy_edit import LucyEditPipeline
from einops import rearrange
from torch.testing import assert_close

from pipelines import STEPS, assert_same_walk, drawn, flow_walked, opened
from recast.backbones.video_control import VideoControl
from recast.denoising import Branch
from recast.diffusion.parameterization import Prediction, clean_from, scale_input
from wan_folder import write_wan
from wan_walks import LATENTS, asked_wan, conditioned, pictures, pipeline, read, shown


def test_an_instructed_edit_is_diffusers_own(tmp_path):
    backbone, noise, (_, frames) = opened(write_wan(tmp_path, lucy=True, unipc=False)), drawn(*LATENTS, seed=0), shown()
    condition = backbone.with_control_video(conditioned(backbone), VideoControl(frames), STEPS)
    pipe = pipeline(LucyEditPipeline, tmp_path, WanTransformer3DModel)
    expected = asked_wan(pipe, noise, condition, video=pictures(frames / 255))
    assert_same_walk(flow_walked(backbone, noise, condition), expected, 1e-4)


def test_a_clip_in_context_is_tokens_before_those_that_are_denoised(tmp_path):
    """Bernini's renderer, by the blocks of diffusers' class: each part at its own positions, the clip's turned once."""
    path = write_wan(tmp_path, bernini=True, unipc=False)
    backbone, network, (_, frames) = opened(path), read(path / "transformer", WanTransformer3DModel), shown()
    condition = backbone.with_control_video(conditioned(backbone), VideoControl(frames), STEPS)
    x, sigma = drawn(*LATENTS, seed=0), 1.5
    mixed = scale_input(x, sigma, Prediction.FLOW)
    clips = [rearrange(each, "t c y x -> 1 c t y x") for each in (backbone.encode(frames), mixed)]
    tokens = [rearrange(network.patch_embedding(clip), "1 c t y x -> 1 (t y x) c") for clip in clips]
    places = [torch.complex(*(part[..., ::2] for part in network.rope(clip))) for clip in clips]
    head = torch.arange(0, 12, 2) / 12
    places[0] = places[0] * torch.polar(torch.ones(6), 10000.0**-head)
    turns = torch.cat(places, dim=1).repeat_interleave(2, dim=-1)
    hidden, time = torch.cat(tokens, dim=1), torch.tensor([1000 * sigma / (1 + sigma)])
    about, times, words, _ = network.condition_embedder(time, condition.cond[None], None, timestep_seq_len=None)
    for block in network.blocks:
        hidden = block(hidden, words, times.unflatten(1, (6, -1)), (turns.real, turns.imag))
    shift, scale = (network.scale_shift_table + about[:, None]).chunk(2, dim=1)
    answer = network.proj_out(network.norm_out(hidden) * (1 + scale) + shift)[:, tokens[0].shape[1] :]
    answer = rearrange(answer, "1 (t y x) (h w c) -> t c (y h) (x w)", t=3, y=2, x=3, h=2, w=2)
    [made] = backbone.denoise_branches(x, sigma, condition, [Branch(condition.cond)])
    assert_close(made, clean_from(Prediction.FLOW, answer, x, sigma), atol=1e-5, rtol=1e-5)
    other = replace(condition, structure_channels=condition.structure_channels.flip(0))
    assert not torch.allclose(backbone.denoise_branches(x, sigma, other, [Branch(condition.cond)])[0], made, atol=1e-3)
