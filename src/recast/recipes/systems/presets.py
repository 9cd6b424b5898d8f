"""The trainings of systems whose point is a trained network, at pocket's size, and the worlds that they learn from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from recast.data.renders import RenderPlan
from recast.engine.config import TrainConfig
from recast.model.metadata import ModelMetadata
from recast.networks.conditioned import APPEARANCE, CLIP, DEPTH, ENCODER, FRAME, PICTURE, POSE, POSES
from recast.recipes.hardware import CORES
from recast.recipes.pocket.networks import POCKET_LEVELS, POCKET_TOWERS, RUN_COMMAND
from recast.recipes.pocket_words.presets import LAYERS
from recast.training.objectives.conditioned import VideoBatches
from recast.training.preset import Preset
from recast.training.video_stage import LAYERS_OVER_TIME, VideoStage

SIDE = 128
PLAIN = (0.0, 0.4)
"""How textured worlds are whose colours and places words name."""
WORLDS = RenderPlan("worlds", 1600, SIDE, SIDE, first_seed=7_600_000)
TRIPLETS = RenderPlan("triplets", 2400, SIDE, SIDE, first_seed=7_700_000, textured=PLAIN, look="plain")
PEOPLE = RenderPlan(
    "people", 1200, SIDE, SIDE, first_seed=7_800_000, textured=PLAIN, framing=(0.45, 0.95), kinds=("person",)
)
"""Worlds that no other training and no measurement has seen."""
IMAGE_LAYERS = r"^net\.(?!.*\.temporal\.)"
"""Names of the weights of a network that are of images alone."""
OF_POSES = r"^parts\.pose_encoder\."
OVER_TIME_AND_PARTS = rf"{LAYERS_OVER_TIME}|^parts\."


@dataclass(frozen=True, kw_only=True)
class System:
    """A published system as trainings. data: the worlds of each training, by the name of their plan.

    facts: the model's recast.json.
    """

    presets: Mapping[str, Preset]
    data: Mapping[str, str]
    facts: ModelMetadata

    @property
    def last(self) -> str:
        """The training whose network is the model."""
        return list(self.presets)[-1]


_STAGE = VideoStage(
    layers=LAYERS, reader=POCKET_TOWERS, levels=POCKET_LEVELS, size=(SIDE, SIDE), batches=VideoBatches(clips=8)
)
_CLIPS, _IMAGES = _STAGE.batches, VideoBatches(clips=48, frames=1, structure_blur_prob=0.0)
_FACTS = ModelMetadata(
    family="space_time",
    short_side=SIDE,
    frames=_CLIPS.frames,
    fps=10.0,
    steps=16,
    cfg_scale=3.0,
    depth_unit="inverse",
    known_words="words.txt",
)


def _preset(about: str, stage: VideoStage, steps: int, *, rate: float, worlds: str, start: str = "") -> Preset:
    return Preset(
        about=about,
        stage=stage,
        config=TrainConfig(steps=steps, rate=rate, warmup=60, ema=0.998, keep_every=100),
        hardware=CORES,
        start=start,
        after=", ".join(filter(None, ("pocket-words, pocket", start, f"{worlds}-cache"))),
        usage=RUN_COMMAND,
    )


SYSTEMS: dict[str, System] = {
    "instruct-vid2vid": System(
        presets={
            "instruct-vid2vid-clips": _preset(
                "an editor that reads a clip and an instruction, from triplets (InstructVid2Vid)",
                replace(
                    _STAGE,
                    reads=(CLIP,),
                    batches=replace(_CLIPS, all_drop_prob=0.05, cond_drop_prob=0.05, condition_drop_prob=0.05),
                    temporal_weight=0.5,
                    seed=31,
                ),
                6000,
                rate=6e-4,
                worlds="triplets",
            )
        },
        data={"instruct-vid2vid-clips": "triplets"},
        facts=replace(_FACTS, method="instruct-vid2vid"),
    ),
    "videocomposer": System(
        presets={
            "videocomposer-clips": _preset(
                "words, depth, edges, motion vectors and a picture, any subset of them (VideoComposer)",
                replace(
                    _STAGE,
                    reads=("depth", "edges", "motion", PICTURE),
                    parts=(ENCODER,),
                    batches=replace(_CLIPS, all_drop_prob=0.1, all_keep_prob=0.1, condition_drop_prob=0.5),
                    seed=32,
                ),
                6000,
                rate=6e-4,
                worlds="worlds",
            )
        },
        data={"videocomposer-clips": "worlds"},
        facts=replace(_FACTS, structures=("depth", "edges", "motion"), embedding_norm="unit"),
    ),
    "make-your-video": System(
        presets={
            "make-your-video-clips": _preset(
                "layers over time that see no later frame, over a frozen image network of depth (Make-Your-Video)",
                replace(_STAGE, reads=(DEPTH,), causal=True, trained=LAYERS_OVER_TIME, seed=33),
                4000,
                rate=8e-4,
                worlds="worlds",
            )
        },
        data={"make-your-video-clips": "worlds"},
        facts=replace(_FACTS, structures=("depth",)),
    ),
    "ccedit": System(
        presets={
            "ccedit-clips": _preset(
                "a clip's depth, words and its edited centre frame, over a frozen image network (CCEdit)",
                replace(
                    _STAGE,
                    reads=(DEPTH, FRAME),
                    parts=(APPEARANCE,),
                    trained=OVER_TIME_AND_PARTS,
                    batches=replace(_CLIPS, cond_drop_prob=0.5, condition_drop_prob=0.1),
                    seed=34,
                ),
                4000,
                rate=6e-4,
                worlds="worlds",
            )
        },
        data={"ccedit-clips": "worlds"},
        facts=replace(_FACTS, structures=("depth",), cfg_scale=2.0),
    ),
    "follow-your-pose": System(
        presets={
            "follow-your-pose-images": _preset(
                "an image network of words alone, which the two stages leave as it is (for Follow-Your-Pose)",
                replace(_STAGE, parts=(POSES,), trained=IMAGE_LAYERS, batches=_IMAGES, seed=35),
                2000,
                rate=6e-4,
                worlds="people",
            ),
            "follow-your-pose-poses": _preset(
                "stage one: poses as residuals of a frozen image network, from pictures (Follow-Your-Pose)",
                replace(_STAGE, reads=(POSE,), parts=(POSES,), trained=OF_POSES, batches=_IMAGES, seed=36),
                2000,
                rate=1e-3,
                worlds="people",
                start="follow-your-pose-images",
            ),
            "follow-your-pose-clips": _preset(
                "stage two: layers over time, from clips without poses (Follow-Your-Pose)",
                replace(_STAGE, parts=(POSES,), trained=LAYERS_OVER_TIME, seed=37),
                3000,
                rate=6e-4,
                worlds="worlds",
                start="follow-your-pose-poses",
            ),
        },
        data={
            "follow-your-pose-images": "people",
            "follow-your-pose-poses": "people",
            "follow-your-pose-clips": "worlds",
        },
        facts=replace(_FACTS, structures=("pose",)),
    ),
}
SYSTEM_PRESETS: dict[str, Preset] = {
    name: preset for system in SYSTEMS.values() for name, preset in system.presets.items()
}
