"""Ways to join guidance, and collaborative scores of frames."""

import torch
from benchmarks.reference_checks.published import Check, Published, gap
from benchmarks.reference_checks.toys import CHANNELS, SIDE, normal

from recast.denoising import Branch
from recast.diffusion.guidance import guided
from recast.diffusion.joins import Correction, apg, cfg_zero
from recast.methods.csd import rbf_kernel, stein_direction
from recast.types import Condition, Latents

FRAMES, SCALE = 3, 7.5


def _joined(correction: Correction | None, x: Latents, answers: list[Latents], sigma: float) -> Latents:
    """Guidance of two given predictions: of the wanted content, and of none."""
    condition = Condition(cond=torch.ones(1, 1), uncond=torch.zeros(1, 1), frames=torch.arange(FRAMES))

    def denoise_branches(_x: Latents, _sigma: float, _condition: Condition, branches: list[Branch]) -> list[Latents]:
        return [answers[0] if branch.tokens is condition.cond else answers[1] for branch in branches]

    return guided(denoise_branches, SCALE, correction=correction)(x, sigma, condition)


def projected(source: Published) -> float:
    """Adaptive projected guidance with momentum and a threshold, over three levels."""
    published = source.load("MomentumBuffer", "normalized_guidance")
    buffer, correction, gaps = published.MomentumBuffer(-0.5), apg(eta=0.3, threshold=6.0, momentum=-0.5), []
    for number, sigma in enumerate((5.0, 2.0, 1.0)):
        answers = [normal(FRAMES, CHANNELS, SIDE, SIDE, seed=2 * number + which) for which in range(2)]
        theirs = published.normalized_guidance(*answers, SCALE - 1, buffer, 0.3, 6.0, True, (-1, -2, -3))
        gaps.append(gap(_joined(correction, answers[0], answers, sigma), theirs))
    return max(gaps)


def optimized_scale(source: Published) -> float:
    """CFG-Zero*'s scale of the unconditional velocity, frame by frame, and the guidance that it gives."""
    sigma, time = 3.0, 3.0 / 4.0
    mixed, towards, against = (normal(FRAMES, CHANNELS, SIDE, SIDE, seed=seed) for seed in range(3))
    scale = source.load("optimized_scale").optimized_scale(towards.flatten(1), against.flatten(1))[..., None, None]
    velocity = scale * against + SCALE * (towards - scale * against)
    clean = [mixed - time * each for each in (towards, against)]
    ours = _joined(cfg_zero(), mixed * (1 + sigma), clean, sigma)
    return gap(ours, mixed - time * velocity)


def collaborative(source: Published) -> float:
    """CSD's move of all frames by the scores of all, with our bandwidth."""
    particles, noise = (normal(FRAMES, CHANNELS, SIDE, SIDE, seed=seed) for seed in range(2))
    kernel, bandwidth = rbf_kernel(particles)
    published = source.load("CSDEdit.rbf_kernel", changed={"with torch.cuda.amp.autocast():": "if True:"})
    theirs, gradient = published.rbf_kernel(None, particles, particles, gamma=1 / bandwidth)
    moved = (torch.matmul(noise.transpose(0, 3), theirs).transpose(0, 3) + gradient) / FRAMES
    # They descend along differences of predicted noise; the clean latents that we ask for differ by minus sigma.
    sigma = 0.7
    ours = stein_direction(particles, -sigma * noise, sigma)
    return gap(-ours * kernel.sum(0)[:, None, None, None] / FRAMES / sigma, moved)


CHECKS = (
    Check(
        "guidance apg",
        "huggingface/diffusers",
        "src/diffusers/guiders/adaptive_projected_guidance.py",
        "normalized_guidance / apg, three levels",
        projected,
    ),
    Check(
        "guidance cfg-zero",
        "WeichenFan/CFG-Zero-star",
        "models/wan/wan_pipeline.py",
        "optimized_scale / cfg_zero",
        optimized_scale,
    ),
    Check(
        "csd",
        "subin-kim-cv/CSD",
        "csdedit.py",
        "rbf_kernel and the step with it / stein_direction",
        collaborative,
        "the bandwidth, whose median is also of each frame with itself there; the divisor: the number of frames there, "
        "the sum of the kernel in ours",
    ),
)
