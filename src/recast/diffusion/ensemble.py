"""Answers averaged over noise: what is left of an answer is what does not hang on the noise that was shown."""

from recast.denoising import Denoiser, Noise
from recast.types import Condition, Latents


def ensembled(denoise: Denoiser, members: int, noise: Noise) -> Denoiser:
    """The mean of `members` answers: the first to the latents, the others to the first answer under other noise.

    Each frame of a clip is under noise of its own, so what a network makes of its noise flickers, and a mean over
    several flickers less. One answer is the denoiser itself. Test-time ensembling, as of depth in arXiv:2312.02145,
    section 3.4, but at every level: what the answers agree about is all that the walk goes on from.
    """
    if members == 1:
        return denoise

    def ensembled_denoise(x: Latents, sigma: float, condition: Condition) -> Latents:
        clean = denoise(x, sigma, condition)
        others = (denoise(clean + sigma * noise(clean, number), sigma, condition) for number in range(1, members))
        return sum(others, start=clean) / members

    return ensembled_denoise
