"""Loss of the generator: velocity prediction, conditioned on structure and content. Gen-1's eq. 6."""

import time
from collections.abc import Sequence

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor

from recast.data.datasets import DataMix
from recast.data.examples import ExampleSource
from recast.diffusion.parameterization import Prediction, scale_input, target
from recast.diffusion.schedule import Schedule
from recast.engine.config import BatchShard, Loss, LossOutput
from recast.engine.rng import device_of, row_rng, step_rng
from recast.networks.generator import Generator
from recast.training.objectives.batches import Batch, Batches, Row, Sigmas


def velocity(
    sources: Sequence[ExampleSource],
    schedule: Schedule,
    batches: Batches,
    *,
    structure: bool = True,
    min_snr: float | None = None,
    temporal_weight: float = 0.0,
    seed: int = 0,
) -> Loss[Generator]:
    """Squared error of v = alpha noise - sigma clean, at uniform timesteps. arXiv:2302.03011, eq. 6; arXiv:2202.00512.

    structure: whether the network has structure channels. min_snr: gamma of the weight min(SNR, gamma) / (SNR + 1) of
    each row (arXiv:2303.09556, section 3.4); None weighs all rows alike, which is eq. 6. temporal_weight: weight of the
    squared difference of the error between neighbouring frames, which penalises flicker; the minimiser is the same.
    Raises RequestError where the data has no clips of the stage's length.
    """
    mix = DataMix.of(sources, batches.frames if batches.clips else 1)
    keep = (1 / (1 + schedule.sigmas.square())).float()  # alpha squared
    sigmas, at_levels = schedule.sigmas.numpy(), schedule.sigmas.float()

    def loss(network: Generator, share: BatchShard) -> LossOutput:
        began = time.perf_counter()
        video, rows = drawn_rows(mix, batches, share, sigmas, seed=seed)
        waited = time.perf_counter() - began
        batch = Batch.of(rows, device_of(network))
        off = _off(network, batch, at_levels.to(batch.level.device)[batch.level], video=video, structure=structure)
        errors, weighed = row_errors(off, temporal_weight if video else 0.0)
        weighed = weighed if min_snr is None else weighed * _min_snr(keep.to(batch.level.device)[batch.level], min_snr)
        return LossOutput(
            mean=weighed.mean(), rows=errors.detach(), levels=(batch.level / len(sigmas)).float(), waited=waited
        )

    return loss


# Examples are stored in fp16, which autocast on CPUs does not support; and conditions should not be rounded.
@torch.autocast("cpu", enabled=False)
def drawn_rows(
    mix: DataMix, batches: Batches, share: BatchShard, sigmas: Sigmas, *, seed: int
) -> tuple[bool, list[Row]]:
    """Whether a step has clips, and the rows of this shard of its batch."""
    rng = step_rng(seed, share.step)
    video = batches.is_video(rng)
    bucket = mix.bucket(rng, video=video)
    rows = []
    for number in share.rows(batches.clips if video else batches.images):
        rng = row_rng(seed, share.step, number)
        example = bucket.example(int(rng.integers(len(bucket))))
        rows.append(Row.drawn(rng, example, batches, sigmas, video=video))
    return video, rows


def _off(
    network: Generator, batch: Batch, level_sigmas: Float[Tensor, " b"], *, video: bool, structure: bool
) -> Float[Tensor, "b t 4 y x"]:
    sigma = rearrange(level_sigmas, "b -> b 1 1 1 1")
    noisy = scale_input(batch.clean + sigma * batch.noise, sigma)
    given = torch.cat([noisy, batch.structure], dim=2) if structure else noisy
    answer = network(given, batch.level.float(), batch.content, batch.conditioned, video=video)
    return answer.float() - target(Prediction.VELOCITY, batch.clean, batch.noise, sigma)


def row_errors(
    off: Float[Tensor, "b t 4 y x"], temporal_weight: float
) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
    """Each row's mean squared error, and that with its change from frame to frame, by its weight, on top."""
    errors = _mean_square(off)
    # An image has no neighbouring frame, and a weight of 0 should cost no time.
    return errors, errors + temporal_weight * _mean_square(off.diff(dim=1)) if temporal_weight else errors


def _mean_square(off: Float[Tensor, "b t 4 y x"]) -> Float[Tensor, " b"]:
    return reduce(off.square(), "b t c y x -> b", "mean")


def _min_snr(kept: Float[Tensor, " b"], most: float) -> Float[Tensor, " b"]:
    # SNR = kept / (1 - kept), so SNR + 1 = 1 / (1 - kept), and nothing is divided by zero at either end.
    return torch.minimum(kept, most * (1 - kept))
