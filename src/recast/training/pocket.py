"""`pocket`: the model that ships with the package, from nothing but rendered worlds."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.transformers.prior_transformer import PriorTransformer
from einops import rearrange
from torch import Tensor
from transformers import CLIPTokenizer

from recast.denoise.levels import schedule
from recast.structure.depth import aligned
from recast.structure.depth_unet import DepthUNet
from recast.training import autoencoder, cache, clip, depth, diffusion, pool, prior, words
from recast.training.export import write
from recast.training.loop import Recipe, fit
from recast.training.pool import Pool

SEED = 20
ASSETS = Path(__file__).parents[1] / "assets" / "pocket"
CAPTIONED = ("square", "wide", "tall")
EVERY_POOL = ("square", "wide", "tall", "textured", "textured-wide")
PICKS = {"image": [0, 7], "video": list(range(8))}
"""The frames of a clip that each stage sees."""
SCHEDULER = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    # Without a level of pure noise the brightness of night and of paper could not be reached (arXiv:2305.08891).
    "rescale_betas_zero_snr": True,
    "clip_sample": False,
}


def train_vae(run: Path) -> AutoencoderKL:
    """The autoencoder: 1,000 steps of 32 crops of 64 x 64."""
    torch.manual_seed(SEED)
    network = autoencoder.autoencoder()
    pools = list(pool.opened(run / "pool", EVERY_POOL).values())
    return fit(
        network,
        autoencoder.reconstruction(pools),
        Recipe(steps=1000, rate=2e-3, ema=0.995, keep_every=200),
        run / "vae",
    )


def train_depth(run: Path) -> DepthUNet:
    """The depth estimator: 1,300 steps of 16 frames."""
    torch.manual_seed(SEED)
    network = depth.depth_estimator()
    pools = list(pool.opened(run / "pool", EVERY_POOL).values())
    return fit(
        network,
        depth.distance(pools),
        Recipe(steps=1300, rate=2e-3, warmup=50, ema=0.995, keep_every=100),
        run / "depth",
    )


def train_clip(run: Path) -> clip.Pair:
    """The CLIP pair and its tokenizer: 2,000 steps of 128 pictures and captions."""
    torch.manual_seed(SEED)
    pools = pool.opened(run / "pool", CAPTIONED)
    network = clip.Pair(tokenizer(run, list(pools.values())))
    recipe = Recipe(steps=2000, rate=1.2e-3, decay=0.05, ema=0.995, keep_every=100)
    return fit(network, clip.contrastive(list(pools.values()), tokenizer(run, [])), recipe, run / "clip")


def tokenizer(run: Path, pools: list[pool.Pool]) -> CLIPTokenizer:
    """The tokenizer of a run, learned from the pools' captions where it is not there yet."""
    folder = run / "tokenizer"
    if (folder / "tokenizer_config.json").exists():
        return CLIPTokenizer.from_pretrained(folder)
    return words.write_tokenizer((caption for p in pools for row in p.captions for caption in row), folder)


def train_prior(run: Path) -> PriorTransformer:
    """The prior: 2,000 steps of 96 captions and embeddings."""
    torch.manual_seed(SEED)
    pair, reader = train_clip(run), tokenizer(run, [])
    pools = pool.opened(run / "pool", CAPTIONED)
    ids, seen = [], []
    for name, p in pools.items():
        said = torch.from_numpy(clip.token_ids(reader, p))
        for share, clips in enumerate(shares_of("image", len(p))):
            if (folder := run / "cache" / f"image-{name}-{share}").exists():
                ids.append(said[clips.start : clips.stop])
                seen.append(cache.Cache.opened(folder).embeddings)
    ids, seen = torch.cat(ids), torch.cat(seen)
    network = prior.prior()
    prior.standardize(network, seen)
    empty = torch.tensor(reader("", padding="max_length", max_length=words.PLACES)["input_ids"])
    loss = prior.unclip(pair.text.requires_grad_(False), ids, empty, seen)
    return fit(network, loss, Recipe(steps=2000, rate=1.5e-3, decay=0.02, ema=0.997), run / "prior")


def fill_caches(run: Path, stage: str, shares: slice = slice(None)) -> None:
    """The caches of a stage: two frames of most clips for "image", every frame of some clips for "video".

    shares: which of the eight parts of each to fill, so that several processes can share the work.
    """
    encoders = encoders_of(run)
    for name in CAPTIONED:
        p = Pool.opened(run / "pool" / name)
        for share, clips in list(enumerate(shares_of(stage, len(p))))[shares]:
            cache.fill(run / "cache" / f"{stage}-{name}-{share}", p, clips, PICKS[stage], encoders)


def embed_caches(run: Path) -> None:
    """The content embeddings of all caches; apart from the latents, so that the two encoders can be trained at once."""
    image = train_clip(run).image
    for stage, picks in PICKS.items():
        for name in CAPTIONED:
            p = Pool.opened(run / "pool" / name)
            for share, clips in enumerate(shares_of(stage, len(p))):
                if (folder := run / "cache" / f"{stage}-{name}-{share}").exists():
                    cache.embed(folder, p, clips, picks, image)


def shares_of(stage: str, clips: int) -> list[range]:
    """The clips of a pool that a stage is trained on, in eight parts: all of them as images, a quarter as video."""
    edges = np.linspace(0, clips if stage == "image" else clips // 4, 9).astype(int).tolist()
    return [range(start, stop) for start, stop in pairwise(edges)]


def encoders_of(run: Path) -> cache.Encoders:
    """The trained networks that fill the caches; the depth estimator where it is trained."""
    vae = train_vae(run)
    estimate = None
    if (run / "depth" / "state.pt").exists():
        network = train_depth(run)

        @torch.no_grad()
        def estimate(frames: np.ndarray) -> Tensor:
            pictures = rearrange(torch.from_numpy(frames).float() / 255, "t h w c -> t c h w")
            return aligned(rearrange(network(pictures).predicted_depth, "t h w -> t 1 h w"))

    return cache.Encoders(vae, vae_scale(vae, Pool.opened(run / "pool" / "square")), estimate)


def train_images(run: Path) -> diffusion.Generator:
    """The generator on images, from nothing: 2,400 steps of 64."""
    torch.manual_seed(SEED)
    loss = diffusion.velocity(caches(run, "image"), schedule(SCHEDULER))
    return fit(diffusion.Generator(), loss, Recipe(steps=2400, rate=1.2e-3, warmup=300, keep_every=100), run / "images")


def train_video(run: Path) -> diffusion.Generator:
    """The generator on clips of 8 frames, with one step in eight on images: 260 steps of 8 clips."""
    network = train_images(run)
    loss = diffusion.velocity(caches(run, "video"), schedule(SCHEDULER), frames=8, seed=1)
    recipe = Recipe(steps=260, rate=8e-4, warmup=30, ema=0.99, keep_every=100)
    return fit(network.train(), loss, recipe, run / "video")


def caches(run: Path, stage: str) -> list[cache.Cache]:
    """The caches of a stage that are whole."""
    folders = sorted((run / "cache").glob(f"{stage}-*[0-9]"))
    return [cache.Cache.opened(folder) for folder in folders if (folder / "embeddings.npy").exists()]


def train_decoder(run: Path) -> AutoencoderKL:
    """The autoencoder's decoder alone, 2,000 steps more: latents stay what the generator was trained on."""
    network = train_vae(run)
    for name, weight in network.named_parameters():
        weight.requires_grad_(name.startswith(("decoder", "post_quant_conv")))
    pools = list(pool.opened(run / "pool", EVERY_POOL).values())
    recipe = Recipe(steps=2000, rate=1e-3, ema=0.997, keep_every=100)
    return fit(network, autoencoder.reconstruction(pools, seed=7), recipe, run / "decoder")


def export(run: Path, folder: Path = ASSETS) -> None:
    """Writes the model folder that ships in the package."""
    vae = train_decoder(run) if (run / "decoder" / "state.pt").exists() else train_vae(run)
    vae.register_to_config(scaling_factor=vae_scale(train_vae(run), Pool.opened(run / "pool" / "square")))
    generator = train_video(run) if (run / "video" / "state.pt").exists() else train_images(run)
    write(
        folder,
        generator=generator,
        vae=vae,
        pair=train_clip(run),
        prior=train_prior(run),
        depth=train_depth(run),
        tokenizer=tokenizer(run, []),
        scheduler=SCHEDULER,
    )


@torch.no_grad()
def vae_scale(vae: AutoencoderKL, p: Pool) -> float:
    """What latents are multiplied with to have unit variance, measured on worlds."""
    pictures = torch.from_numpy(np.stack([p.frames[i, 0] for i in range(0, len(p), len(p) // 200)])).float() / 127.5 - 1
    mean = vae.encode(rearrange(pictures, "b h w c -> b c h w"), return_dict=False)[0].mean
    return round(1 / float(mean.std()), 5)
