"""Measures of pictures and of sets of features beside the code that published figures were made with."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from benchmarks.reference_checks.published import Check, Published, gap
from benchmarks.reference_checks.random_inputs import SEEDS, features, over_seeds, pictures
from benchmarks.reference_checks.toys import normal
from einops import rearrange
from torch import Tensor

from recast.evaluation.metrics.colour import WHITE, XYZ_OF_RGB, de76, de2000, lab
from recast.evaluation.metrics.fidelity import psnr
from recast.evaluation.metrics.frechet import frechet_distance
from recast.evaluation.metrics.kernel import kernel_distance
from recast.evaluation.metrics.ssim import ssim_maps


def similarity(source: Published) -> float:
    """SSIM of each frame, torchmetrics' defaults."""
    window = Published(source.repository, "src/torchmetrics/functional/image/utils.py")
    kernel = window.load("_gaussian", "_gaussian_kernel_2d")._gaussian_kernel_2d
    update = source.load("_ssim_update", Sequence=Sequence, _gaussian_kernel_2d=kernel)._ssim_update
    one, other = pictures(), pictures(1)
    return gap(ssim_maps(one, other).mean((1, 2)), update(one.double() / 255, other.double() / 255, data_range=1.0))


def noise_ratio(source: Published) -> float:
    """PSNR of clips, torchmetrics'."""
    compute = source.load("_psnr_compute", tensor=torch.tensor, reduce=lambda value, **_: value)._psnr_compute

    def theirs(seed: int) -> Tensor:
        squared = (pictures().double() - pictures(seed + 1).double()).square()
        return compute(squared.sum(), torch.tensor(squared.numel()), torch.tensor(255.0).double())

    return gap(over_seeds(lambda seed: psnr(pictures(), pictures(seed + 1))), over_seeds(theirs))


def gaussians(source: Published) -> float:
    """FID on features of more vectors than numbers, torchmetrics'."""
    compute = source.load("_compute_fid")._compute_fid

    def theirs(seed: int) -> Tensor:
        moments = [(each.mean(0), torch.cov(each.T)) for each in (features(seed), features(seed + 1))]
        return compute(*moments[0], *moments[1])

    return gap(over_seeds(lambda seed: frechet_distance(features(seed), features(seed + 1))), over_seeds(theirs))


def polynomial(source: Published) -> float:
    """KID on features of two sets of one size, torchmetrics'."""
    theirs = source.load("poly_mmd", "poly_kernel", "maximum_mean_discrepancy").poly_mmd
    pairs = {seed: (features(seed) / 10, features(seed + 1) / 10) for seed in SEEDS}
    ours = over_seeds(lambda seed: kernel_distance(*pairs[seed]))
    return gap(ours, over_seeds(lambda seed: theirs(*pairs[seed])))


def perceived(source: Published) -> float:
    """Lab of sRGB, scikit-image's."""
    published = source.load(
        "rgb2xyz",
        "xyz2lab",
        changed={"arr > 0.008856": "arr > (6 / 29) ** 3", "7.787 * arr": "(29 / 6) ** 2 / 3 * arr"},
        _prepare_colorarray=lambda array, **_: array,
        xyz_from_rgb=np.array(XYZ_OF_RGB),
        xyz_tristimulus_values=lambda **_: np.array(WHITE),
    )
    frames = pictures()
    channels_last = rearrange(frames, "t c h w -> t h w c").double().numpy() / 255
    return gap(lab(frames), torch.from_numpy(published.xyz2lab(published.rgb2xyz(channels_last))))


def colour_distance(name: str, ours: Callable[[Tensor, Tensor], Tensor], source: Published) -> float:
    """A colour difference over random colours, greys among them, scikit-image's."""
    polar = Published(source.repository, "src/_skimage2/color/colorconv.py").load("_cart2polar_2pi")
    given = {"_float_inputs": lambda one, other, **_: (one, other), "_cart2polar_2pi": polar._cart2polar_2pi}
    theirs = getattr(source.load(name, **given), name)
    one, other = (normal(500, 3, seed=seed) * 40 + torch.tensor([50.0, 0, 0]) for seed in (0, 1))
    one[:20, 1:] = 0
    return gap(ours(one, other), torch.from_numpy(theirs(one.numpy(), other.numpy())))


TORCHMETRICS, SKIMAGE = "Lightning-AI/torchmetrics", "scikit-image/scikit-image"
FUNCTIONAL, DELTA_E = "src/torchmetrics/functional/image/", "src/_skimage2/color/delta_e.py"
measured = partial(Check, bound=1e-6)
CHECKS = (
    measured("metric ssim", TORCHMETRICS, f"{FUNCTIONAL}ssim.py", "_ssim_update / ssim_maps", similarity),
    measured("metric psnr", TORCHMETRICS, f"{FUNCTIONAL}psnr.py", "_psnr_compute / psnr", noise_ratio),
    measured("metric fid", TORCHMETRICS, "src/torchmetrics/image/fid.py", "_compute_fid / frechet_distance", gaussians),
    measured("metric kid", TORCHMETRICS, "src/torchmetrics/image/kid.py", "poly_mmd / kernel_distance", polynomial),
    measured(
        "metric lab",
        SKIMAGE,
        "src/_skimage2/color/colorconv.py",
        "rgb2xyz, xyz2lab / lab",
        perceived,
        "the curve's constants, which are rounded there",
    ),
    measured("metric de76", SKIMAGE, DELTA_E, "deltaE_cie76 / de76", partial(colour_distance, "deltaE_cie76", de76)),
    measured(
        "metric de2000",
        SKIMAGE,
        DELTA_E,
        "deltaE_ciede2000 / de2000",
        partial(colour_distance, "deltaE_ciede2000", de2000),
    ),
)
