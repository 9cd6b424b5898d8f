"""Footage: rendered frames of a scene with their ground truth."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, UInt8

from recast.world.bodies import BODIES
from recast.world.camera import Lens, views
from recast.world.captions import captioned
from recast.world.flow import flowed
from recast.world.looks import LOOKS
from recast.world.raycast import FIRST, cast, spots
from recast.world.scene import Scene, Subject
from recast.world.shade import Shot, shaded
from recast.world.solids import Solid, moved, placed, turned
from recast.world.surroundings import grounds, surroundings


@dataclass(frozen=True, eq=False)
class Footage:
    """A clip with ground truth.

    frames: sRGB; depth: metres along the viewing axis, 100 for the sky; masks: 0 for the background, k for the k-th
    subject of the scene; flow: pixels to the right and down that the visible point moves until the next frame (for the
    last frame, until the frame that would follow); caption: one of the scene's captions.
    """

    frames: UInt8[np.ndarray, "t h w 3"]
    depth: Float32[np.ndarray, "t h w"]
    masks: UInt8[np.ndarray, "t h w"]
    flow: Float32[np.ndarray, "t h w 2"]
    caption: str
    scene: Scene

    @property
    def inverse_depth(self) -> Float32[np.ndarray, "t h w"]:
        """1 / depth, in 1/m."""
        return 1 / self.depth


def rendered(
    scene: Scene, num_frames: int = 8, height: int = 128, width: int = 128, stride_seconds: float = 0.1
) -> Footage:
    """Renders `num_frames` frames of the scene, `stride_seconds` apart, centred on time 0."""
    times = times_of(num_frames, stride_seconds)
    lens = Lens(height, width, scene.camera.focal * min(height, width))
    world, owners = solids(scene, times)
    eyes = views(scene.camera, times)
    shown = [Solid(s.form, s.pose[:-1] if s.pose.ndim == 3 else s.pose, s.tone, s.taper) for s in world]
    hits, seen = cast(shown, eyes[:-1], lens)
    masks = owners[hits.ids]
    shown_subjects = spots(hits, masks, lens)
    picture = shaded(scene, Shot(hits, seen, shown_subjects, masks, shown, owners, eyes[:-1], times[:-1], lens))
    frames = LOOKS[scene.look](picture)
    return Footage(
        frames=frames,
        depth=1 / hits.inverse_depth,
        masks=masks,
        flow=flowed(hits, shown_subjects, world, eyes, lens),
        caption=captioned(scene, np.random.default_rng([scene.seed, 3])),
        scene=scene,
    )


def times_of(num_frames: int, stride_seconds: float) -> Float[np.ndarray, " t1"]:
    """Times of a clip's frames in seconds, and one more, for the flow of the last frame."""
    return (np.arange(num_frames + 1) - (num_frames - 1) / 2) * stride_seconds


def solids(scene: Scene, times: Float[np.ndarray, " t"]) -> tuple[list[Solid], UInt8[np.ndarray, " n"]]:
    """All solids of the scene, and the subject index of each thing that a pixel can show."""
    around = surroundings(scene.layout, np.random.default_rng([scene.seed, 2]), scene.reach)
    if scene.layout != "room":
        afloat = any(subject.kind == "boat" for subject in scene.subjects)
        around += grounds(scene.environment, np.random.default_rng([scene.seed, 10]), scene.reach, afloat)
    world, owners = list(around), [0] * (FIRST + len(around))
    for number, subject in enumerate(scene.subjects, 1):
        body = _embodied(subject, times)
        world += body
        owners += [number] * len(body)
    return world, np.array(owners, np.uint8)


def _embodied(subject: Subject, times: Float[np.ndarray, " t"]) -> list[Solid]:
    phase, pose = motion(subject, times)
    return [moved(solid, pose) for solid in BODIES[subject.kind].body(phase, subject.gait)]


def motion(
    subject: Subject, times: Float[np.ndarray, " t"]
) -> tuple[Float[np.ndarray, " t"], Float[np.ndarray, "t 4 4"]]:
    """The phase of a subject's stride at times in seconds, and where its body's frame is in the world."""
    kind = BODIES[subject.kind]
    pace = subject.speed / (kind.stride * subject.size) if subject.speed else 0.9
    phase = subject.phase + 2 * np.pi * pace * times * np.sign(subject.gait + (subject.kind == "boat"))
    ahead = np.array([np.sin(subject.heading), 0, np.cos(subject.heading)])
    path = np.array(subject.position) + times[:, None] * subject.speed * ahead
    return phase, placed(path, (subject.size,) * 3, turned("y", subject.heading))
