"""The claims of Gen-1 (arXiv:2302.03011) and of "One-Shot Learning Meets Depth Diffusion in Multi-Object Videos"."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from recast.errors import known
from recast.evaluation.claims.claim import SOURCE, Arm, Claim, Shown, Way

GEN1, ONE_SHOT = "Gen-1", "One-shot depth"
STEPS = (4, 12, 25)
MIDDLE = 12
"""Steps at which temporal guidance is held against prompt consistency."""
STRENGTHS = (0.5, 0.75)
"""Of baselines that start from the source: of four steps two and three."""
WORDS_MODEL = "pocket-words"
"""The model that reads words as Stable Diffusion does, on which the one-shot paper stands."""


def ours(content: Shown = "words", *, case: str = "mixed", masked: bool = False, **options: float) -> Arm:
    """Gen-1."""
    return Arm(content, case, masked, options=(("method", "gen1"), *sorted(options.items())))


def loose(detail: int, content: Shown = "words") -> Arm:
    """Gen-1 at this t_s."""
    return ours(content, structure_detail=detail) if detail else ours(content)


OURS = ours()
BASELINES = {
    "sdedit-frames": ("SDEdit per frame", Arm.of("sdedit-frames", strength=STRENGTHS[1])),
    "sdedit-propagated": ("SDEdit propagated", Arm.of("sdedit-propagated", strength=STRENGTHS[1])),
    "depth-frames": ("Depth-SD per frame", Arm.of("depth-frames")),
    "deforum": ("Deforum", Arm.of("deforum")),
    "bare": ("~s, SDEdit on the video model without structure", Arm.of("sdedit", strength=STRENGTHS[1])),
    "text2live": ("Text2LIVE, a canonical image painted by words", Arm("paint")),
}


def _temporal() -> Iterator[tuple[str, Claim]]:
    where = f"{GEN1} 3.3, Fig. 4"
    measures: dict[str, tuple[Way, str]] = {
        "frames": ("rises", "frames more alike"),
        "warp": ("falls", "warp error less"),
    }
    for steps in STEPS:
        held = {weight: ours(steps=steps, temporal_guidance=weight) for weight in (0.0, 1.0, 1.5)}
        for low, high in ((0.0, 1.0), (1.0, 1.5)):
            for measure, (way, effect) in measures.items():
                says = f"temporal guidance {low:g} to {high:g} makes {effect}, {steps} steps"
                name = f"temporal-{measure}-{high:g}-{steps}"
                yield name, Claim(where, says, measure, way, held[low], held[high])
    says = "more temporal guidance costs prompt consistency"
    low, high = (ours(steps=MIDDLE, temporal_guidance=weight) for weight in (1.0, 1.5))
    yield "tradeoff-temporal-prompt", Claim(f"{GEN1} 4.3, Fig. 6", says, "prompt", "falls", low, high)


def _structure() -> Iterator[tuple[str, Claim]]:
    effects: dict[str, tuple[str, str, Way]] = {
        "prompt": (f"{GEN1} 4.3", "raises prompt consistency", "rises"),
        "outline": (f"{GEN1} 3.3, Fig. 10", "loosens outlines", "falls"),
        "depth_agreement": (f"{GEN1} 3.3, Fig. 10", "loosens depth", "falls"),
    }
    held = {detail: loose(detail) for detail in (0, 3, 6)}
    for low, high in ((0, 3), (3, 6)):
        for measure, (where, effect, way) in effects.items():
            says = f"t_s {low} to {high} {effect}"
            yield f"structure-{measure}-{high}", Claim(where, says, measure, way, held[low], held[high])


def _strength() -> Iterator[tuple[str, Claim]]:
    where = f"{GEN1} 4.2, 4.3"
    effects: dict[str, tuple[Way, str]] = {
        "prompt": ("rises", "follows the prompt better"),
        "frames": ("falls", "makes frames less alike"),
        "outline": ("falls", "changes the structure"),
    }
    for method in ("sdedit-frames", "sdedit-propagated"):
        low, high = (Arm.of(method, strength=strength) for strength in STRENGTHS)
        for measure, (way, effect) in effects.items():
            says = f"{BASELINES[method][0]}: more strength {effect}"
            yield f"strength-{method}-{measure}", Claim(where, says, measure, way, low, high)


def _baselines() -> Iterator[tuple[str, Claim]]:
    where = f"{GEN1} 4.3, Fig. 6"
    effects = {
        "frames": "frames more alike",
        "prompt": "better prompt consistency",
        "content": "the prompt shown better",
    }
    for method, (name, arm) in BASELINES.items():
        for measure, effect in effects.items():
            place = f"{GEN1} 4.2, Fig. 7" if measure == "content" else where
            says = f"ours against {name}: {effect}"
            yield f"baselines-{method}-{measure}", Claim(place, says, measure, "rises", arm, OURS)
    frames, propagated, depth = (BASELINES[name][1] for name in ("sdedit-frames", "sdedit-propagated", "depth-frames"))
    where = f"{GEN1} 4.2"
    says = "SDEdit propagated is more consistent than per frame"
    yield "baselines-propagation-frames", Claim(where, says, "frames", "rises", frames, propagated)
    says = "propagation brings artifacts: warp error above that of ours"
    yield "baselines-propagation-warp", Claim(where, says, "warp", "falls", propagated, OURS)
    says = "Depth-SD keeps structure better than SDEdit"
    yield "baselines-depth-outline", Claim(where, says, "outline", "rises", frames, depth)
    needs = (
        "raters, whom `recast study` asks: about three in four preferred ours in the paper; a judge of worlds is none"
    )
    yield "baselines-preferred", Claim(f"{GEN1} 4.2, Fig. 7", "users prefer ours to each baseline", needs=needs)


def _pictures() -> Iterator[tuple[str, Claim]]:
    where = f"{GEN1} 4.1, Fig. 9"
    effects = {"content": "content is that of the picture", "likeness": "frames are like the picture"}
    for detail in (0, 3):
        after = loose(detail, "picture")
        for measure, effect in effects.items():
            says = f"from a picture of another scene, {effect}, t_s {detail}"
            yield f"pictures-{measure}-{detail}", Claim(where, says, measure, "rises", SOURCE, after)


def _masks() -> Iterator[tuple[str, Claim]]:
    where = f"{GEN1} 4.1, Fig. 8"
    source, free, masked = replace(SOURCE, case="place"), ours(case="place"), ours(case="place", masked=True)
    says = "an edit with a mask leaves the masked subject alone, within 2 of 255"
    yield "masks-kept", Claim(where, says, "unasked", "stays", source, masked, within=2.0)
    says = "an edit without a mask changes the subject more"
    yield "masks-free", Claim(where, says, "unasked", "rises", masked, free)
    says = "an edit with a mask changes the background"
    yield "masks-background", Claim(where, says, "environment", "rises", source, masked)


def _one_shot() -> Iterator[tuple[str, Claim]]:
    # Each method has its steps and guidance of the model's own; only where the walk starts differs.
    noise = Arm.of("gen1", model=WORDS_MODEL)
    inverted = Arm.of("tune-a-video", model=WORDS_MODEL)
    where = f"{ONE_SHOT} 1, 3.2"
    says = "a start from the inverted clip makes {}; untuned here"
    effects: dict[str, tuple[Way, str]] = {
        "frame_pairs": ("rises", "frames more alike"),
        "warp": ("falls", "warp error less"),
    }
    for measure, (way, effect) in effects.items():
        yield f"oneshot-inversion-{measure}", Claim(where, says.format(effect), measure, way, noise, inverted)
    tuned = "a tuning of each world's clip, 500 steps, about 4 minutes of a core each, {}"
    opened = {
        "table-frames": (f"{ONE_SHOT} Table 1", "frames are more alike than Tune-A-Video's", "with depth and without"),
        "table-prompt": (f"{ONE_SHOT} Table 1", "prompt consistency is above Tune-A-Video's", "with depth and without"),
        "loss": (f"{ONE_SHOT} 3.2, eq. 8", "the temporal consistency loss smooths motion", "with the loss and without"),
        "projections": (
            f"{ONE_SHOT} 3.2",
            "tuning projections alone keeps what the model knew",
            "so and of all weights",
        ),
    }
    for name, (place, says, how) in opened.items():
        yield f"oneshot-{name}", Claim(place, says, needs=tuned.format(how))


def _trained() -> Iterator[tuple[str, Claim]]:
    twice = (
        "two trainings of pocket's generator, {}, and their edits of the same worlds; about 11 hours of two cores each"
    )
    opened = {
        "trained-v": ("3.1", "v-parameterization improves color consistency", "by v and by epsilon"),
        "trained-joint": (
            "1, 3.3",
            "joint image-video training is what temporal guidance needs",
            "jointly and on video",
        ),
        "trained-blur": (
            "3.3",
            "blur destroys structure more stably than noise",
            "with maps blurred and with noise on them",
        ),
        "trained-edges": ("3.3", "depth carries less of the content than edges", "on depth and on edges"),
        "trained-levels": ("3.3", "training on many t_s gives the choice of t_s", "at t_s 0 alone and at 0 to 7"),
    }
    for name, (section, says, how) in opened.items():
        yield name, Claim(f"{GEN1} {section}", says, needs=twice.format(how))
    needs = "a customization of 400 steps for each of some subjects, and its edits over steps and t_s"
    says = "more steps of customization and a higher t_s show the subject better"
    yield "customization", Claim(f"{GEN1} 4.4, Fig. 10", says, needs=needs)


CLAIMS: dict[str, Claim] = dict(
    claim
    for part in (_temporal, _structure, _strength, _baselines, _pictures, _masks, _one_shot, _trained)
    for claim in part()
)
"""Every claim by name; the word before the first dash is its group."""


def chosen(names: Sequence[str]) -> dict[str, Claim]:
    """The claims of these names or groups, all of them for none. Raises RequestError for one that there is not."""
    if not names:
        return CLAIMS
    groups = dict.fromkeys(name.split("-")[0] for name in CLAIMS)
    for name in names:
        if name not in CLAIMS:
            known("claim or group of claims", name, groups)
    return {name: claim for name, claim in CLAIMS.items() if {name, name.split("-")[0]} & {*names}}
