"""Loss of a student that answers at once what its teacher answers by guidance and by a mean over noises."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from recast.data.datasets import DataMix
from recast.data.examples import ExampleSource
from recast.denoising import Noise
from recast.diffusion.parameterization import Prediction, clean_from, scale_input, target
from recast.diffusion.schedule import Schedule
from recast.engine.config import BatchShard, Loss, LossOutput
from recast.engine.rng import device_of, normal_noise, row_rng
from recast.networks.generator import Generator
from recast.training.objectives.batches import Batch, Batches
from recast.training.objectives.diffusion import drawn_rows, row_errors

Clips = Float[Tensor, "b t 4 y x"]
MEMBERS_STREAM = 2**16
"""Added to the seed: noises of a teacher's members are drawn apart from those of the rows."""


@dataclass(frozen=True, kw_only=True)
class Distilled:
    """Which answer of the teacher is learned.

    guidance: its weight of content, omega; 1 is none. ensemble: answers averaged over noise, the first to what the
    student sees, as in `recast.diffusion.ensemble`. sampled: how many of the others are asked for, and stand for all
    of them. They differ by independent noise that the student does not see, so what it learns by squared error is the
    same, from a goal that varies more and costs less. sampling_steps: only the levels that a walk of so many steps
    visits are learned, because a student is used at these; 8 has those of 4 and of 2 among them.
    """

    guidance: float = 1.5
    ensemble: int = 4
    sampled: int = 1
    sampling_steps: int = 8


def distilled(
    teacher: Generator,
    sources: Sequence[ExampleSource],
    schedule: Schedule,
    batches: Batches,
    wanted: Distilled,
    *,
    structure: bool = True,
    temporal_weight: float = 0.0,
    seed: int = 0,
) -> Loss[Generator]:
    """Squared error of the student's v, where the right one leads to the teacher's guided mean of clean latents.

    Guidance distillation, arXiv:2210.03142, section 3.1, for one weight, with the mean over noises in place of one
    answer. The teacher is not trained, and asked twice `1 + sampled` times a row. It knows no clips without structure,
    so rows that have none learn from the data, at their own levels. temporal_weight: as of
    `recast.training.objectives.diffusion.velocity`. Raises RequestError where the data has no clips of that length.
    """
    mix = DataMix.of(sources, batches.frames if batches.clips else 1)
    visited = visited_levels(schedule, wanted.sampling_steps)

    def loss(student: Generator, share: BatchShard) -> LossOutput:
        began = time.perf_counter()
        video, rows = drawn_rows(mix, batches, share, schedule.sigmas.numpy(), seed=seed)
        waited = time.perf_counter() - began
        batch = Batch.of(rows, device_of(student))
        numbers = share.rows(batches.clips if video else batches.images)
        learned = visited[[(share.step + number) % len(visited) for number in numbers]]
        asked = _Asked.at_levels(learned, batch, schedule, video=video, structure=structure)
        noisy = batch.clean + asked.sigma * batch.noise
        goal, known = batch.clean.clone(), [place for place, row in enumerate(rows) if row.structured]
        if known:
            noises = _noises(seed, share.step, [numbers[place] for place in known])
            goal[known] = teacher_answer(teacher.to(noisy.device), asked.only(known), noisy[known], wanted, noises)
        noise = (noisy - goal) / asked.sigma
        off = asked.velocity(student, noisy) - target(Prediction.VELOCITY, goal, noise, asked.sigma)
        errors, weighed = row_errors(off, temporal_weight if video else 0.0)
        return LossOutput(weighed.mean(), errors.detach(), (asked.level / len(schedule.sigmas)).float(), waited)

    return loss


def visited_levels(schedule: Schedule, steps: int) -> Int[Tensor, " n"]:
    """The numbers of the levels that a walk of so many steps visits. Raises RequestError for too many."""
    visited = torch.tensor(schedule.timestep_sigmas(steps)[:-1], dtype=schedule.sigmas.dtype)
    return torch.searchsorted(schedule.sigmas, visited)


@dataclass(frozen=True, eq=False)
class _Asked:
    """What both networks are asked at: a batch's conditions, and the level of each row."""

    batch: Batch
    level: Int[Tensor, " b"]
    sigma: Float[Tensor, "b 1 1 1 1"]
    video: bool
    structure: bool

    @classmethod
    def at_levels(
        cls, levels: Int[Tensor, " b"], batch: Batch, schedule: Schedule, *, video: bool, structure: bool
    ) -> "_Asked":
        """Rows at these levels, but those without structure at the levels that they were drawn with."""
        level = torch.where(batch.structured, levels.to(batch.level), batch.level)
        sigma = rearrange(schedule.sigmas.float().to(level.device)[level], "b -> b 1 1 1 1").to(batch.clean)
        return cls(batch, level, sigma, video=video, structure=structure)

    def only(self, rows: list[int]) -> "_Asked":
        """Some of the rows."""
        return replace(self, batch=self.batch.only(rows), level=self.level[rows], sigma=self.sigma[rows])

    def velocity(self, network: Generator, noisy: Clips, *, content: bool = True) -> Clips:
        """The predicted v of noisy latents; without content, that of null tokens."""
        batch, scaled = self.batch, scale_input(noisy, self.sigma)
        given = torch.cat([scaled, batch.structure], dim=2) if self.structure else scaled
        shown = batch.conditioned if content else torch.zeros_like(batch.conditioned)
        return network(given, self.level.float(), batch.content, shown, video=self.video).float()


@torch.no_grad()
def teacher_answer(teacher: Generator, asked: _Asked, noisy: Clips, wanted: Distilled, noises: Noise) -> Clips:
    """The clean latents that the teacher comes to. noises: of a clip's shape, for members from 1 on."""

    def guided(x: Clips) -> Clips:
        v = asked.velocity(teacher, x)
        if wanted.guidance != 1:
            null = asked.velocity(teacher, x, content=False)
            v = null + wanted.guidance * (v - null)
        return clean_from(Prediction.VELOCITY, v, x, asked.sigma)

    first, sampled = guided(noisy), min(wanted.sampled, wanted.ensemble - 1)
    if not sampled:
        return first
    others = [guided(first + asked.sigma * noises(first, number)) for number in range(1, 1 + sampled)]
    return first + (wanted.ensemble - 1) / wanted.ensemble * (torch.stack(others).mean(0) - first)


def _noises(seed: int, step: int, rows: Sequence[int]) -> Noise:
    """Each row's from a generator of its own, so that they are the same however a batch is divided."""
    streams = [row_rng(seed + MEMBERS_STREAM, step, row) for row in rows]

    def noise(like: Tensor, _number: int) -> Tensor:
        return torch.stack([normal_noise(rng, like.shape[1:]) for rng in streams]).to(like)

    return noise
