"""Editors by the difference of two denoisers, whole walks over a denoiser in closed form."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import torch
from benchmarks.reference_checks.published import Check, Published, StandIn, gap
from benchmarks.reference_checks.toys import (
    CHANNELS,
    SIDE,
    ClosedFormBackbone,
    inputs,
    network,
    normal,
    prompts,
)
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from recast.denoising import DenoiseInputs
from recast.diffusion.parameterization import Prediction
from recast.methods.flowalign import FlowAlign
from recast.methods.flowedit import FlowEdit
from recast.methods.infedit import InfEdit
from recast.types import Latents

FRAMES, STEPS = 3, 8
TIMES = [0.98, 0.9, 0.79, 0.66, 0.52, 0.37, 0.24, 0.11]
"""Of rectified flow, with steps of different lengths."""
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False}


def clip_latents() -> Latents:
    """Of the clip that is edited."""
    return normal(FRAMES, CHANNELS, SIDE, SIDE, seed=1)


def flow_shot() -> tuple[ClosedFormBackbone, DenoiseInputs]:
    """An edit by a network of rectified flow."""
    levels = [time / (1 - time) for time in TIMES] + [0.0]
    return ClosedFormBackbone(clip_latents(), levels, Prediction.FLOW), inputs(clip_latents(), prompts(), STEPS, 3.0)


@dataclass
class _Noises:
    """Ours, in the order in which published code draws them; it asks torch for them by `randn_like`."""

    drawn: Iterator[Latents]

    def torch(self) -> StandIn:
        return StandIn(torch, randn_like=lambda _like: next(self.drawn), float32=torch.float64)


def _flow_edit(source: Published, *, tail: int) -> float:
    backbone, asked = flow_shot()
    averaged, skipped = 2, 2
    pair_noises = [asked.noise(backbone.source, 1 + n) for n in range((STEPS - skipped - tail) * averaged)]
    noises = _Noises(iter([*pair_noises, asked.noise(backbone.source)]))
    pipe = SimpleNamespace(
        do_classifier_free_guidance=True, encode_prompt=_encoded, transformer=_transformer, _guidance_scale=0
    )
    given = {
        "torch": noises.torch(),
        "retrieve_timesteps": lambda *_, **__: (torch.tensor([1000 * time for time in TIMES]).double(), STEPS),
        "noise_pred_tar": torch.zeros(1, dtype=torch.float64),
    }
    edit = source.load("FlowEditSD3", "calc_v_sd3", "scale_noise", **given).FlowEditSD3
    scheduler = SimpleNamespace(order=1, sigmas=torch.tensor([*TIMES, 0.0]).double())
    scheduler._init_step_index = lambda time: setattr(scheduler, "step_index", _nearest(TIMES, float(time) / 1000))
    theirs = edit(
        pipe, scheduler, backbone.source, "source", "target", "null", STEPS, averaged, 1.5, 3.0, tail, STEPS - skipped
    )
    strength = (STEPS - skipped) / STEPS
    ours = FlowEdit(strength=strength, noises=averaged, source_guidance=1.5, tail=tail / STEPS)(asked, backbone)
    return gap(ours, theirs)


def _nearest(times: list[float], time: float) -> int:
    return min(range(len(times)), key=lambda index: abs(times[index] - time))


def _encoded(*, prompt: str, negative_prompt: str, **_: object) -> tuple[Tensor, ...]:
    words = prompts()
    return words[prompt][None], words[negative_prompt][None], torch.zeros(1), torch.zeros(1)


def _transformer(*, hidden_states: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, **_: object) -> tuple:
    batches = zip(hidden_states.chunk(4), encoder_hidden_states, strict=True)
    return (torch.cat([network(x, float(timestep[0]) / 1000, tokens) for x, tokens in batches]),)


def flow_edit(source: Published) -> float:
    """FlowEdit without a tail of plain sampling."""
    return _flow_edit(source, tail=0)


def flow_edit_with_tail(source: Published) -> float:
    """FlowEdit whose last steps are plain sampling (n_min)."""
    return _flow_edit(source, tail=2)


class _PublishedSampler:
    """What FlowAlign's editor asks of Stable Diffusion 3."""

    transformer = vae = SimpleNamespace(device="cpu")

    def __init__(self) -> None:
        times = torch.tensor([1000 * time for time in TIMES]).double()
        config = SimpleNamespace(num_train_timesteps=1000)
        self.scheduler = SimpleNamespace(set_timesteps=lambda *_, **__: None, timesteps=times, config=config)

    def prepare_embed(self, prompt: str, _given: None) -> tuple[Tensor, None]:
        return prompts()[prompt], None

    def encode(self, _picture: Tensor) -> Tensor:
        return clip_latents()

    def decode(self, latents: Tensor) -> Tensor:
        return latents

    def predict_vector(self, x: Tensor, timestep: Tensor, tokens: Tensor, _pooled: None) -> Tensor:
        return network(x, float(timestep[0]) / 1000, tokens)


def flow_align(source: Published) -> float:
    """FlowAlign with its regularization put aside: the difference of guided velocities alone."""
    backbone, asked = flow_shot()
    noises = _Noises(asked.noise(backbone.source, 1 + number) for number in range(STEPS))
    changed = {"0.01 * (qt - sigma*vq - pt + sigma*vp)": "0"}
    return gap(_flow_aligned(backbone, asked, 0.0), _published_alignment(source, noises, changed))


def flow_align_regularized(source: Published) -> float:
    """FlowAlign with its regularization as we have it: by the source's content, weighed by the length of the step."""
    backbone, asked = flow_shot()
    noises = _Noises(asked.noise(backbone.source, 1 + number) for number in range(STEPS))
    changed = {
        "0.01 * (qt - sigma*vq - pt + sigma*vp)": "0.3 * (1 - sigma_next / sigma) * (qt - sigma*vq - pt + sigma*vpn)"
    }
    return gap(_flow_aligned(backbone, asked, 0.3), _published_alignment(source, noises, changed))


def _flow_aligned(backbone: ClosedFormBackbone, asked: DenoiseInputs, terminal: float) -> Latents:
    return FlowAlign(terminal=terminal)(asked, backbone)


def _published_alignment(source: Published, noises: _Noises, changed: dict[str, str]) -> Tensor:
    picture = torch.zeros(1)
    sample = source.load("SD3FlowAlign.sample", changed=changed, torch=noises.torch()).sample
    return sample(_PublishedSampler(), picture, "source", "target", "null", STEPS, None, cfg_scale=3.0)


def _diffusion() -> tuple[ClosedFormBackbone, DenoiseInputs, DDIMScheduler]:
    scheduler = DDIMScheduler(**BETAS, steps_offset=1, set_alpha_to_one=True)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    scheduler.set_timesteps(STEPS)
    alphas = scheduler.alphas_cumprod[scheduler.timesteps]
    levels = [*((1 - alphas) / alphas).sqrt().tolist(), 0.0]
    return (
        ClosedFormBackbone(clip_latents(), levels, Prediction.NOISE),
        inputs(clip_latents(), prompts(), STEPS, 3.0),
        scheduler,
    )


def _guided(x: Latents, share: float, name: str, scale: float) -> Latents:
    tokens = prompts()
    null = network(x, share, tokens["null"])
    return null + scale * (network(x, share, tokens[name]) - null)


def inf_edit(source: Published) -> float:
    """InfEdit's consistency sampler over a whole walk, as its pipeline calls it with eta 1."""
    backbone, asked, scheduler = _diffusion()
    sampler = source.load("ddcm_sampler").ddcm_sampler
    state = StandIn(scheduler, step_index=0, _step_index=0)
    noises = iter([asked.noise(backbone.source, 1 + number) for number in range(STEPS)])
    clean, alphas = backbone.source, scheduler.alphas_cumprod
    first, noise = alphas[scheduler.timesteps[0]], next(noises)
    x_s = x_t = first.sqrt() * clean + (1 - first).sqrt() * noise
    for number, timestep in enumerate(scheduler.timesteps):
        share = float((1 - alphas[timestep]).sqrt())
        e_s, e_t = _guided(x_s, share, "source", 1.0), _guided(x_t, share, "target", 3.0)
        state.step_index = number
        noise = next(noises, noise)
        x_s, x_t, edited = sampler(state, x_s, x_t, timestep, e_s, e_t, clean, noise, 1, to_next=False)
    return gap(InfEdit()(asked, backbone), edited)


FLOW_ALIGN = "FlowAlign/FlowAlign", "diffusion/editing/sd3_edit.py"
CHECKS = (
    Check("flowedit", "fallenshock/FlowEdit", "FlowEdit_utils.py", "FlowEditSD3 / FlowEdit, whole walk", flow_edit),
    Check(
        "flowedit",
        "fallenshock/FlowEdit",
        "FlowEdit_utils.py",
        "FlowEditSD3 with n_min / FlowEdit with a tail, whole walk",
        flow_edit_with_tail,
        "the name noise_pred_tar, which is not defined there",
    ),
    Check(
        "flowalign",
        *FLOW_ALIGN,
        "SD3FlowAlign / FlowAlign at terminal 0, whole walk",
        flow_align,
        "the regularization",
    ),
    Check(
        "flowalign",
        *FLOW_ALIGN,
        "SD3FlowAlign / FlowAlign at terminal 0.3, whole walk",
        flow_align_regularized,
        "the regularization's weight, 0.01 a step there, and its prediction of the edit, under the guided wanted "
        "content there; both as ours are",
    ),
    Check("infedit", "sled-group/InfEdit", "pipeline_ead.py", "ddcm_sampler / InfEdit, whole walk", inf_edit),
)
