"""Inversion, null text, and walks that are bent on the way."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from benchmarks.reference_checks.published import Check, Published, gap
from benchmarks.reference_checks.toys import CHANNELS, SIDE, ClosedFormBackbone, inputs, network, normal, prompts
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from einops import rearrange
from torch import Tensor

from recast.backbones.tiny import PUBLISHED_SCHEDULER
from recast.denoising import Denoiser
from recast.diffusion.guidance import guided
from recast.diffusion.inversion import Inversion, ddim_inversion
from recast.diffusion.null_text import NullTextFit, null_text_inversion
from recast.diffusion.parameterization import Prediction, scale_input
from recast.diffusion.schedule import schedule
from recast.methods.controlvideo import key_frames
from recast.methods.pix2video import Pix2Video
from recast.types import Condition, Latents, Tokens

FRAMES, STEPS, SCALE = 3, 8, 4.0


def _scheduler() -> DDIMScheduler:
    scheduler = DDIMScheduler(**PUBLISHED_SCHEDULER, clip_sample=False)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    scheduler.final_alpha_cumprod = scheduler.alphas_cumprod[0]
    scheduler.set_timesteps(STEPS)
    return scheduler


def _backbone(source: Latents, prediction: Prediction = Prediction.NOISE) -> ClosedFormBackbone:
    return ClosedFormBackbone(source, schedule(PUBLISHED_SCHEDULER).timestep_sigmas(STEPS), prediction)


def _source() -> Latents:
    return normal(FRAMES, CHANNELS, SIDE, SIDE, seed=1)


def _inversion(backbone: ClosedFormBackbone, tokens: Tokens) -> Inversion:
    start = backbone.source * (1 + backbone.levels[-1] ** 2) ** 0.5
    condition = Condition(cond=tokens, uncond=tokens)
    return ddim_inversion(guided(backbone.denoise_branches, 1.0), start, backbone.levels, condition)


def inverted(source: Published) -> float:
    """Tune-A-Video's DDIM inversion, with our schedule of the published configuration."""
    scheduler, tokens = _scheduler(), prompts()["source"]
    latents = rearrange(_source(), "t c y x -> 1 c t y x")
    given = {"init_prompt": lambda *_: tokens.repeat(2, 1, 1), "get_noise_pred_single": _below(scheduler)}
    published = source.load("ddim_loop", "next_step", **given)
    theirs = published.ddim_loop(SimpleNamespace(unet=None), scheduler, latents, STEPS, "")[-1]
    backbone = _backbone(_source())
    ours = scale_input(_inversion(backbone, tokens).trajectory[0], backbone.levels[0])
    return gap(rearrange(ours, "t c y x -> 1 c t y x"), theirs)


def _below(scheduler: DDIMScheduler) -> Any:  # noqa: ANN401 -- a function of theirs
    """A network that is given the level of the latents, where the published loop names the next one."""

    def answer(latents: Tensor, timestep: Tensor, context: Tensor, _unet: None) -> Tensor:
        below = int(timestep) - 1000 // STEPS
        alpha = scheduler.alphas_cumprod[below] if below >= 0 else scheduler.final_alpha_cumprod
        frames = rearrange(latents, "1 c t y x -> t c y x")
        return rearrange(network(frames, float((1 - alpha).sqrt()), context[0]), "t c y x -> 1 c t y x")

    return answer


def _network_at(scheduler: DDIMScheduler) -> Any:  # noqa: ANN401
    """A network of batches, by timestep."""

    def unet(latents: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, **_: object) -> dict[str, Tensor]:
        share = float((1 - scheduler.alphas_cumprod[timestep]).sqrt())
        batches = zip(latents.chunk(len(encoder_hidden_states)), encoder_hidden_states, strict=True)
        return {"sample": torch.cat([network(x, share, tokens) for x, tokens in batches])}

    return unet


def null_text(source: Published) -> float:
    """Null-text inversion: the tokens fitted at each level, shared by all frames."""
    return _fitted(source, SCALE, True)


def decoupled(source: Published) -> float:
    """Video-P2P's, which reads the guidance from its script."""
    return _fitted(source, GUIDANCE_SCALE=SCALE)


@torch.enable_grad()
def _fitted(source: Published, *settings: object, **more: object) -> float:
    scheduler, words = _scheduler(), prompts()
    bar = SimpleNamespace(update=lambda: None, close=lambda: None)
    given = {"NUM_DDIM_STEPS": STEPS, "Adam": torch.optim.Adam, "tqdm": lambda **_: bar, **more}
    given["DDIMScheduler"] = lambda **_: scheduler
    changed = {"i / 100.": "i / (2 * NUM_DDIM_STEPS)"}
    kind = source.load("NullInversion", changed=changed, **given).NullInversion
    scheduler.set_timesteps = lambda *_: None
    model = SimpleNamespace(tokenizer=None, scheduler=scheduler, unet=_network_at(scheduler))
    fitter = kind(model, *settings)
    fitter.context = torch.stack([words["null"], words["source"]])
    backbone = _backbone(_source())
    inversion = _inversion(backbone, words["source"])
    latents = [scale_input(x, sigma) for x, sigma in zip(inversion.trajectory, inversion.sigmas, strict=True)]
    theirs = torch.cat(fitter.null_optimization(latents[::-1], 4, -1.0))
    condition = Condition(cond=words["source"], uncond=words["null"])
    denoise = guided(backbone.denoise_branches, SCALE)
    fitted = null_text_inversion(denoise, inversion, condition, fit=NullTextFit(iterations=4, tolerance=0.0))
    return gap(torch.stack(fitted.uncond), theirs)


class _StraightBackbone(ClosedFormBackbone):
    """Its prediction has derivative 1 with respect to mixed latents."""

    @staticmethod
    def answer(x: Latents, share: float, tokens: Tokens) -> Latents:
        """Clean latents of mixed ones."""
        return x + share * tokens.mean(-2)[..., None, None]


def pulled(source: Published) -> float:
    """Pix2Video's frames one after another, each pulled to the one before."""
    names = ("decode", "get_noise_pred", "prev_step")
    published = source.load(*(f"VideoModel.{name}" for name in names))
    scheduler, words = _scheduler(), prompts()
    state: Any = type("VideoModel", (), {name: getattr(published, name) for name in names})()
    state.__dict__.update(
        NUM_DDIM_STEPS=STEPS,
        GUIDANCE_SCALE=SCALE,
        context=[words["null"][None], words["target"][None]],
        classifier_guidance_flag=True,
        per_frame_classifier_guidance=True,
        target_index=-1,
        model=SimpleNamespace(scheduler=scheduler),
        forward=_straight(scheduler),
        latent2image=lambda latents, **_: latents,
    )
    backbone = _StraightBackbone(_source(), _backbone(_source()).levels, Prediction.CLEAN)
    asked, starts = inputs(_source(), words, STEPS, SCALE), []

    def sampler(denoise: Denoiser, x: Latents, *walk: object, **named: object) -> Latents:
        starts.append(scale_input(x, backbone.levels[0]))
        return asked.sampler(denoise, x, *walk, **named)

    elements = _source()[0].numel()
    method = Pix2Video(pull=100.0 * 4 * 64 * 64 / elements, pull_until=1.0)
    ours = method(replace(asked, sampler=sampler), backbone)
    theirs, before = [], []
    for start in starts[0].split(1):
        frame, _, _, before = state.decode(start, latents_x0_list_prev=before)
        theirs.append(frame)
    return gap(ours, torch.cat(theirs))


def _straight(scheduler: DDIMScheduler) -> Any:  # noqa: ANN401
    """The noise that goes with the straight backbone's clean latents."""

    def forward(latents: Tensor, timestep: Tensor, *, encoder_hidden_states: Tensor, **_: object) -> dict[str, Any]:
        alpha = scheduler.alphas_cumprod[timestep]
        clean = _StraightBackbone.answer(latents, float((1 - alpha).sqrt()), encoder_hidden_states[0])
        return {"sample": (latents - alpha.sqrt() * clean) / (1 - alpha).sqrt(), "self_attn_query_features": None}

    return forward


def keys(source: Published) -> float:
    """ControlVideo's keyframes of long clips."""
    indices = source.load("ControlVideoPipeline.get_slide_window_indices").get_slide_window_indices
    pairs = [(indices(None, count, window)[0], key_frames(count, window)) for count, window in LENGTHS]
    return max(gap(torch.tensor(ours).float(), torch.tensor(theirs).float()) for theirs, ours in pairs)


LENGTHS = (25, 6), (17, 5), (41, 9), (10, 4)
"""Frames, and frames of a window."""
CHECKS = (
    Check(
        "tune-a-video",
        "showlab/Tune-A-Video",
        "tuneavideo/util.py",
        "ddim_loop / ddim_inversion over schedule(...), whole walk",
        inverted,
        "the timestep that the network is given: that of the next level there, of the latents' own in ours",
    ),
    Check(
        "vid2vid-zero",
        "baaivision/vid2vid-zero",
        "vid2vid_zero/p2p/null_text_w_ptp.py",
        "null_optimization / null_text_inversion, whole walk",
        null_text,
        "the learning rate's fall, which is written for 50 steps there; early stopping",
    ),
    Check(
        "video-p2p",
        "dvlab-research/Video-P2P",
        "run_videop2p.py",
        "null_optimization / null_text_inversion, whole walk",
        decoupled,
        "the learning rate's fall, and early stopping, as above",
    ),
    Check(
        "pix2video",
        "duyguceylan/pix2video",
        "code/video_model_cross_frame_attn.py",
        "VideoModel.decode, frame by frame / Pix2Video, whole walk",
        pulled,
        "the derivative of the prediction, which is taken for 1 there and is 1 for this network; the number of steps "
        "that are pulled, 26 of 50 there and 25 in ours",
    ),
    Check(
        "controlvideo",
        "YBYBZhang/ControlVideo",
        "models/pipeline_controlvideo.py",
        "get_slide_window_indices / key_frames",
        keys,
        "clips of more keyframes than a window has frames, where ours lie further apart",
    ),
)
