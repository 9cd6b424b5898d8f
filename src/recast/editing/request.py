"""One edit as one document: everything that a command can do, checked when it is made and stored in each output."""

from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from recast.editing.knob_names import check_ensemble, knobs_of, refuse_knob
from recast.editing.schedules import Schedules, check_schedules
from recast.editing.values import (
    ALSO_CALLED,
    Adapters,
    FilesByKind,
    Gibibytes,
    Listed,
    Seconds,
    Size,
    Weighted,
    check_word_fields,
    refuse,
)
from recast.errors import RequestError, known


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", use_attribute_docstrings=True))
class Request:
    """What is to be done to which clip. The command line's flags, the records and `recast rerun` all read it.

    Names of parts and knobs are checked when it is made. Raises RequestError from `asked` and `updated`, and
    pydantic's ValidationError when made by hand.
    """

    schema_version: Literal[1] = 1
    """Version of this document's form."""
    source: Path | None = None
    """The clip: a video file, a GIF or a folder of PNG files."""
    target: Path | None = None
    """Where the result goes; the ending says the format (mp4, mov, mkv, webm, avi, gif; a folder/ takes PNG files)."""
    words: Weighted = ()
    """What it should look like, in words; may be repeated, with a weight as TEXT:W."""
    pictures: Weighted = ()
    """A picture of what it should look like, with a weight as FILE:W; may be repeated and joined with words."""
    negative: Weighted = ()
    """What it should not look like, in words; may be repeated. Temporal guidance compares frames without content."""
    source_prompt: Weighted = ()
    """What the clip shows as it is, in words, for methods that need it; its own frames tell if not given."""
    method: str = "auto"
    """How to edit. gen1: free re-making over a loose structure; flowedit: change what the words say and keep the rest;
    `recast methods` tells what each does, needs and costs. auto is the model's own choice."""
    knobs: dict[str, bool | int | float | str | None] = Field(default_factory=dict)
    """The method's own settings, by name."""
    model: str = "pocket"
    """The name of a model, or the path of a model folder."""
    structure: Listed = ("depth",)
    """What of the clip is kept: depth, edges, lineart, motion, and hed or pose of a file; several where the model has
    ControlNets of them, each with a weight and the share of the steps in which it acts, as edges:0.5@0-0.6."""
    structure_from: FilesByKind = Field(default_factory=dict)
    """A structure that you made, as KIND=FILE: frame i of a video or folder belongs to frame i of the source, a picture
    to all; depth is white where it is near, lines are white on black, a pose is OpenPose's skeleton in colours."""
    structure_detail: float = Field(default=0.0, ge=0, le=7)
    """How coarsely structure is kept, 0 (all of it) to 7 (the least), as blur at the size that the model was trained
    at; fractions are allowed. Below 256 px the largest are alike: 6 and 7 for pocket, trained at 128 px."""
    schedules: Schedules = Field(default_factory=dict)
    """A setting that changes over the clip, as prompt="0: a meadow, 48: a snowy field": prompt, image, cfg, strength,
    structure_detail, temporal_guidance, clip_guidance or word_weight, at frames of the source or seconds (2.5s).
    Between keys it goes evenly; with "ease" before the first key slowly at both, with "hold" at once. Numbers and words
    may follow a sound, as strength="sound(loudness, 0.2..0.8)" (docs/schedules.md)."""
    cfg: FiniteFloat | None = Field(default=None, ge=0, le=100)
    """Guidance: how hard to follow the content; 1 is none, and the model's own if not given."""
    steps: int | None = Field(default=None, ge=1, le=1000)
    """Denoising steps; more is slower, and the model's own number if not given."""
    ensemble: int | None = Field(default=None, ge=1, le=64)
    """Answers averaged at each step; more is slower and steadier, and the model's own number if not given."""
    flow: Path | None = None
    """A .safetensors file of RAFT's weights, by which methods that follow motion estimate it; by DIS if not given."""
    clip_guidance: FiniteFloat = Field(default=0.0, ge=0, le=10_000)
    """How far latents are moved, within the mask, to where a CLIP pair finds the prompt; Soundini's by a sound."""
    clip_pair: str | None = None
    """The CLIP pair of clip_guidance: a model's name or folder, or a CLIPModel's; the model's own if not given."""
    scheduler: str = "ddim"
    """The sampler from noise to picture; ddim is lcm for a model whose own scheduler is that of LCM."""
    window: int | None = Field(default=None, ge=1, le=1024)
    """The most frames that the network sees at once; as many as it was trained on if not said."""
    segment: int = Field(default=256, ge=2, le=65536)
    """The most frames that are edited as one. A longer file goes through segment by segment, each of which goes on from
    the one before; memory is that of one segment, and a stopped run goes on where it was."""
    cuts: str = "either"
    """How cuts are found: either, content or adaptive; each shot is edited for itself. none: the clip is one shot."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Chooses the noise; the same seed gives the same clip."""
    mask: Path | None = None
    """A picture, a video or a folder of PNG files that says where to edit; alpha is what is opaque in the clip."""
    edit: Literal["inside", "outside"] = "inside"
    """Which part to change: inside is what is white in the mask."""
    feather: int = Field(default=4, ge=0, le=512)
    """How far the edit fades out on both sides of the mask's edge, in pixels of the source."""
    start: Seconds = 0.0
    """Where to start in the source, in seconds."""
    end: Seconds | None = None
    """Where to stop in the source, in seconds."""
    duration: Seconds | None = None
    """How much of the source to take, in seconds."""
    max_frames: int | None = Field(default=None, ge=1, le=2**31 - 1)
    """The most frames to take; where there is no source, how many are made."""
    fps: FiniteFloat | None = Field(default=None, gt=0, le=1000)
    """Frames a second of a clip that has no source; the model's own, or 8, if not given."""
    storyboard: Path | None = None
    """A TOML or JSON file of scenes, each with its words and length, for a clip that has no source."""
    layout: Path | None = None
    """A TOML or JSON file of boxes over time that words of the prompt are held to, for a clip that has no source."""
    strokes: Path | None = None
    """A TOML or JSON file of points that are dragged over time, and noise with them, for a clip that has no source."""
    on_damage: Literal["fail", "warn", "repeat"] = "fail"
    """What to do about a damaged clip: fail; warn and use what can be decoded; repeat the frame before what is lost."""
    size: Size = None
    """Size to work at: the short side in pixels, or WIDTHxHEIGHT; the model's own if not given."""
    enlarge: Literal["guided", "plain"] = "guided"
    """How the result gets back to the source's size: along the source's edges, or plainly."""
    adapters: Adapters = ()
    """An adapter that `recast tune` wrote, with a weight as DIR:W, or a .safetensors file that others trained: LoRA,
    motion LoRA, a learned embedding; may be repeated. 0 is the model without it."""
    decoder: Literal["own", "tiny"] = "own"
    """What makes pictures of latents. tiny: TAESD (`recast models pull taesd`), faster, and fine detail is lost."""
    codec: str = "auto"
    """How a video file is coded: h264, hevc, av1, vp9, prores, prores4444, ffv1 (lossless), as its kind of file allows;
    pictures: png, or png16, which holds no more in its 16 bits. auto is the usual one."""
    hdr: Literal["convert", "tonemap", "refuse"] = "convert"
    """What becomes of HDR sources: convert cuts what is bright (PQ) or takes them as they are (HLG); tonemap rolls it
    off by BT.2390's curve."""
    interlaced: Literal["deinterlace", "keep", "refuse"] = "deinterlace"
    """What becomes of interlaced sources: deinterlace makes each frame whole (bwdif), keep edits both fields as one."""
    alpha: Literal["black", "keep", "refuse"] = "black"
    """What becomes of transparency: black lays it on black; keep does so for the edit and gives the result the source's
    own alpha (PNG, ffv1, prores4444)."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """What to compute on."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the network."""
    attention: Literal["auto", "math", "flash", "efficient", "cudnn"] = "auto"
    """Which of torch's kernels computes attention: the picture is the same but for last digits. auto is the fastest."""
    compiler: Literal["none", "inductor", "cudagraphs"] = "none"
    """What compiles a transformer of video; its first step then takes longer, and last digits change."""
    vram: Gibibytes | Literal["auto"] | None = None
    """GiB of the device's memory that an edit may take, or auto for what is free; it then does less at once."""
    overwrite: bool = False
    """Replace the result if it is already there."""

    def __post_init__(self) -> None:
        if self.end is not None and self.duration is not None:
            raise RequestError("end and duration are both given; keep one of them")
        if self.stop is not None and self.stop <= self.start:
            raise RequestError(f"the clip would end at {self.stop:g} s and start at {self.start:g} s; end it later")
        check_word_fields(self)
        _check_parts(self)
        check_schedules(self, FIELDS)

    @property
    def stop(self) -> float | None:
        """Where to stop in the source, in seconds; None for its end."""
        return self.end if self.duration is None else self.start + self.duration

    @classmethod
    def asked(cls, **settings: object) -> "Request":
        """A request from what a user said: fields and the method's knobs by their names, or as in ALSO_CALLED.

        Raises RequestError, in one line, for what is wrong with it.
        """
        named = {ALSO_CALLED.get(name, name): value for name, value in settings.items()}
        knobs = {_checked(name): named.pop(name) for name in list(named) if name not in FIELDS}
        held = named.get("knobs", {})
        try:
            return TypeAdapter(cls).validate_python(named | {"knobs": held | knobs if isinstance(held, dict) else held})
        except ValidationError as error:
            refuse(error)

    @classmethod
    def from_dict(cls, settings: dict[str, object]) -> "Request":
        """The request that `to_dict` gave. Raises RequestError where it is damaged or of another version."""
        version = settings.get("schema_version")
        if version != 1:
            raise RequestError(f"the request is of version {version!r} and this recast reads version 1; update recast")
        return cls.asked(**settings)

    def to_dict(self) -> dict[str, Any]:
        """The whole request in JSON's types, without what says only where this one copy of the result goes."""
        return TypeAdapter(Request).dump_python(self, mode="json", exclude={"target", "overwrite"})

    def updated(self, **settings: object) -> "Request":
        """The same with other settings, as in `asked`; another method starts with its own knobs."""
        kept = {} if settings.get("method", self.method) != self.method else self.knobs
        return self.asked(**{name: getattr(self, name) for name in FIELDS} | {"knobs": kept} | settings)


FIELDS: dict[str, Any] = Request.__pydantic_fields__  # pyrefly: ignore[missing-attribute]
"""Every field of a request by name, with its default and description."""

AUTO = "auto"  # the method that the model's folder names


def all_settings() -> list[str]:
    """Every name that can be set: the request's fields and the knobs of all methods."""
    from recast.methods import ALL_METHODS

    names = [name for name in FIELDS if name not in {"schema_version", "knobs"}]
    return list(dict.fromkeys([*names, *(name for method in ALL_METHODS for name in knobs_of(method))]))


def _checked(knob: str) -> str:
    if knob in all_settings():
        return knob
    called = {name: other for other, name in ALSO_CALLED.items()}
    return known("setting", knob, [called.get(name, name) for name in all_settings()])


def _check_parts(request: Request) -> None:
    from recast.diffusion import SAMPLERS
    from recast.editing.structures import named_structures
    from recast.methods import ALL_METHODS, METHODS
    from recast.video.cuts import DETECTORS

    named_structures(request.structure)
    known("scheduler", request.scheduler, SAMPLERS)
    known("way to find cuts", request.cuts, DETECTORS)
    known("method", request.method, [AUTO, *ALL_METHODS])
    try:
        TypeAdapter(ALL_METHODS[method_for(request, *METHODS)]).validate_python(request.knobs)
    except ValidationError as error:
        refuse(error)
    if request.method != AUTO:
        check_ensemble(request.method, request.ensemble)


def method_for(request: Request, *preferred: str) -> str:
    """The request's method; for auto the first of the preferred ones that has all of its knobs, else any that has.

    Raises RequestError where no method has them, and for a preferred one that is not known.
    """
    from recast.methods import ALL_METHODS, METHODS

    for name in preferred:
        known("method", name, ALL_METHODS)
    among = [*preferred, *METHODS] if request.method == AUTO else [request.method]
    lacking = {method: [name for name in request.knobs if name not in knobs_of(method)] for method in among}
    found = next((method for method, lacks in lacking.items() if not lacks), None)
    if found is None:
        refuse_knob(among[0], lacking[among[0]][0])
    return found
