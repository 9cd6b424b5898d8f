"""The generator: a space-time UNet that learns velocity, told structure and content. Gen-1, arXiv:2302.03011, eq. 6."""

import torch
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.embeddings import ImageProjection
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from einops import rearrange, repeat
from jaxtyping import Bool, Float
from torch import Tensor, nn

from recast.denoise.levels import Schedule
from recast.models.spacetime import SpaceTimeUNet, inflate
from recast.structure.detail import detail_planes
from recast.training.cache import Cache
from recast.training.clip import WIDTH
from recast.training.loop import Loss, Share

TOKENS, TOKEN_WIDTH = 8, 96
DROPPED = 0.1
"""Share of the examples that are told no content; structure is never dropped, as eq. 8 keeps it in every branch."""
BLURRED_CONTENT = 0.25
"""Length of the noise laid on content embeddings of length 1: a prior's answers are never quite a picture's own."""


class Generator(nn.Module):
    """What is trained together: the network, and the projection of content embeddings to its tokens."""

    def __init__(self, max_frames: int = 32) -> None:
        super().__init__()
        unet = UNet2DConditionModel(
            sample_size=16,
            in_channels=4,
            out_channels=4,
            block_out_channels=(96, 128),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            cross_attention_dim=TOKEN_WIDTH,
            attention_head_dim=4,
            norm_num_groups=16,
        )
        self.net: SpaceTimeUNet = inflate(unet, extra_channels=8, max_frames=max_frames)
        # Plain products: PyTorch's fused attention is several times slower backwards on a CPU.
        self.net.unet.set_attn_processor(AttnProcessor())
        self.projection = ImageProjection(WIDTH, TOKEN_WIDTH, TOKENS)

    def forward(
        self,
        noisy: Float[Tensor, "b t 12 y x"],
        timestep: Float[Tensor, " b"],
        embedding: Float[Tensor, "b d"],
        told: Bool[Tensor, " b"],
        *,
        video: bool,
    ) -> Float[Tensor, "b t 4 y x"]:
        """The velocity; where `told` is False there is no content, all tokens zero."""
        tokens = self.projection(embedding) * told[:, None, None]
        return self.net(noisy, timestep, tokens, video)


def velocity(
    caches: list[Cache],
    schedule: Schedule,
    *,
    frames: int = 1,
    batch: int = 64,
    images: float = 0.125,
    details: float = 0.6,
    seed: int = 0,
) -> Loss[Generator]:
    """Squared error of v = alpha noise - sigma clean (arXiv:2202.00512, section 4), at uniform levels.

    frames: 1 trains on images; more on clips, with a share `images` of steps on images all the same (section 3.2).
    details: share of the examples whose structure is softened, t_s > 0; section 3.3's last stage.
    """
    chances = torch.tensor([float(len(cache)) for cache in caches])
    keep = (1 / (1 + schedule.sigmas.square())).float()  # alpha squared

    def loss(network: Generator, share: Share) -> Tensor:
        step = share.undivided()
        rng = torch.Generator().manual_seed(seed * 1_000_003 + step)
        cache = caches[int(torch.multinomial(chances, 1, generator=rng))]
        video = frames > 1 and float(torch.rand((), generator=rng)) >= images
        count = batch // frames if video else batch
        clean, structure, detail, content = _drawn(cache, count, details, rng)
        if not video:
            pick = torch.randint(clean.shape[1], (count,), generator=rng)
            clean, structure = (x[torch.arange(count), pick][:, None] for x in (clean, structure))
        level = torch.randint(len(keep), (count,), generator=rng)
        alpha, sigma = (rearrange(x.sqrt(), "b -> b 1 1 1 1") for x in (keep[level], 1 - keep[level]))
        noise = torch.randn(clean.shape, generator=rng)
        planes = torch.stack([detail_planes(float(t_s), (clean.shape[-2], clean.shape[-1])) for t_s in detail])
        given = torch.cat(
            [alpha * clean + sigma * noise, structure, repeat(planes, "b c y x -> b t c y x", t=clean.shape[1])], dim=2
        )
        told = torch.rand(count, generator=rng) >= DROPPED
        answer = network(given, level.float(), content, told, video=video)
        return (answer.float() - (alpha * noise - sigma * clean)).square().mean()

    return loss


def _drawn(cache: Cache, count: int, details: float, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Clean latents [b t 4 y x], structure latents alike, t_s [b] and content [b d] of some clips."""
    clips = torch.randint(len(cache), (count,), generator=rng)
    soft = torch.rand(count, generator=rng) < details
    structure = cache.structure[clips, soft.long()].float()
    detail = torch.where(soft, cache.detail[clips].float(), 0.0)
    content = cache.embeddings[clips, torch.randint(cache.embeddings.shape[1], (count,), generator=rng)].float()
    blur = torch.randn(content.shape, generator=rng) * torch.rand((count, 1), generator=rng)
    content = nn.functional.normalize(content + BLURRED_CONTENT * blur / content.shape[1] ** 0.5, dim=-1)
    return cache.latents[clips].float(), structure, detail, content
