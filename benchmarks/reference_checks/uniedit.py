"""UniEdit-Flow: its inversion, and the walk by fused velocities."""

from types import SimpleNamespace

import torch
from benchmarks.reference_checks.differences import BETAS, FRAMES, STEPS, TIMES, clip_latents, flow_shot
from benchmarks.reference_checks.published import Check, Published, StandIn, gap
from benchmarks.reference_checks.toys import CHANNELS, SIDE, ClosedFormBackbone, network, normal, prompts
from diffusers.schedulers.scheduling_ddim_inverse import DDIMInverseScheduler

from recast.denoising import Denoiser
from recast.diffusion.guidance import guided
from recast.diffusion.inversion import predictor_inversion
from recast.diffusion.parameterization import Prediction, scale_input
from recast.diffusion.samplers import ddim
from recast.methods.uniedit import masked_difference
from recast.types import Condition


def uni_inv(source: Published) -> float:
    """UniEdit-Flow's inversion, in its form for networks that predict noise."""
    kind = source.load("UniInvDDIMScheduler", DDIMInverseScheduler=DDIMInverseScheduler).UniInvDDIMScheduler
    scheduler = kind(**BETAS, steps_offset=0, timestep_spacing="leading")
    scheduler.alphas_cumprod = alphas = scheduler.alphas_cumprod.double()
    scheduler.set_timesteps(STEPS)
    # The first evaluation is of clean latents, as of the lowest level: here they are mixed as that level's are.
    tokens, x = prompts()["source"], clip_latents()
    mixed = alphas[0].sqrt() * x
    for timestep in scheduler.timesteps:
        answer = network(mixed, float((1 - alphas[timestep]).sqrt()), tokens)
        x, _ = scheduler.step(answer, timestep, x, return_dict=False)
        mixed = x
    levels = [float(((1 - alphas[t]) / alphas[t]).sqrt()) for t in scheduler.timesteps[1:]]
    backbone = ClosedFormBackbone(clip_latents(), [*levels[::-1], 0.0], Prediction.NOISE)
    condition = Condition(cond=tokens, uncond=tokens)
    ours = predictor_inversion(_plain(backbone), backbone.source, backbone.levels, condition).trajectory[0]
    return gap(scale_input(ours, backbone.levels[0]), x)


def _plain(backbone: ClosedFormBackbone) -> Denoiser:
    return guided(backbone.denoise_branches, 1.0)


def uni_edit(source: Published) -> float:
    """UniEdit-Flow's fused velocities down a whole walk, by the size of their difference."""
    changed = {
        "mask = guidance.mean(dim=1, keepdim=True)": "mask = guidance.abs().mean(dim=1, keepdim=True)",
        "mask_min = mask.reshape(batch_size, -1).min(dim=1).values.reshape(batch_size, 1, 1, 1)": "mask_min = 0",
    }
    step = source.load("UniEditEulerScheduler.step", changed=changed, torch=StandIn(torch, float32=torch.float64)).step
    scheduler = SimpleNamespace(step_index=0, _step_index=0, omega=0, sigmas=torch.tensor([*TIMES, 0.0]).double())
    backbone, asked = flow_shot()
    start = normal(FRAMES, CHANNELS, SIDE, SIDE, seed=3)
    x = torch.cat([start, start])
    for number, time in enumerate(TIMES):
        scheduler.step_index = number
        answers = [network(x[:FRAMES], time, prompts()[name]) for name in ("source", "target")]
        (x,) = step(scheduler, torch.cat(answers), time, x, return_dict=False)
    plain = _plain(backbone)
    assert asked.source is not None, "the inputs have one"
    denoise = masked_difference(plain, plain, asked.source, 1.0)
    ours = ddim(denoise, start * (1 + backbone.levels[0]), backbone.levels, asked.condition)
    return gap(ours, x[:FRAMES])


UNIEDIT = "DSL-Lab/UniEdit-Flow", "UniEdit-Flow_diffusers/schedulers/"
CHECKS = (
    Check(
        "uniedit-flow",
        UNIEDIT[0],
        f"{UNIEDIT[1]}UniInvEulerScheduler.py",
        "UniInvDDIMScheduler / predictor_inversion, whole walk",
        uni_inv,
        "the first evaluation, of latents not mixed with noise there",
    ),
    Check(
        "uniedit-flow",
        UNIEDIT[0],
        f"{UNIEDIT[1]}UniEditEulerScheduler.py",
        "UniEditEulerScheduler / masked_difference, whole walk",
        uni_edit,
        "the correction (omega 0), and the mask: the signed mean over channels, from its least to its largest, there",
    ),
)
