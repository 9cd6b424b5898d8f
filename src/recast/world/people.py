"""Where the joints of a world's people are in the picture: the ground truth of poses."""

import numpy as np
from jaxtyping import Float

from recast.world.bodies import Points, arm, leg, trunk
from recast.world.camera import Lens, views
from recast.world.footage import motion, times_of
from recast.world.joints import at
from recast.world.scene import Scene, Subject

COCO_PARTS = ("nose", *(f"{side}_{part}" for part in ("eye", "ear") for side in "lr"))
"""COCO's points of a head; those of arms and legs follow them, left before right."""
_LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")


def people_of(
    scene: Scene, num_frames: int = 8, height: int = 128, width: int = 128, stride_seconds: float = 0.1
) -> list[list[Float[np.ndarray, "17 3"]]]:
    """COCO's 17 points of each person, frame by frame, for the frames that `rendered` makes of the same arguments.

    Each point is its column and row in pixels, and 1 where it can be seen from that side, else 0; what stands in
    between hides nothing. People behind the eye are left out.
    """
    times = times_of(num_frames, stride_seconds)[:-1]
    eyes, focal = views(scene.camera, times), scene.camera.focal * min(height, width)
    lens = Lens(height, width, focal)
    people = [_seen(subject, times, eyes, lens) for subject in scene.subjects if subject.kind == "person"]
    return [[points[frame] for points in people if points[frame, :, 2].any()] for frame in range(num_frames)]


def _seen(
    subject: Subject, times: Float[np.ndarray, " t"], eyes: Float[np.ndarray, "t 4 4"], lens: Lens
) -> Float[np.ndarray, "t 17 3"]:
    phase, pose = motion(subject, times)
    joints = np.stack([np.broadcast_to(each, (len(times), 3)) for each in _joints(phase, subject.gait)], 1)
    place = eyes @ pose
    there = np.einsum("tij,tnj->tni", place[:, :3, :3], joints) + place[:, None, :3, 3]
    size = np.array([lens.width, lens.height])
    pixels = lens.focal * there[..., :2] / np.maximum(there[..., 2:], 1e-6) + size / 2 - 0.5
    seen = there[..., 2] > 0
    # Of a head that looks away only the ears are left.
    head = there[:, len(COCO_PARTS) - 2 : len(COCO_PARTS)].mean(1)
    seen[:, :3] &= there[:, :1, 2] < head[:, None, 2]
    return np.concatenate([pixels, seen[..., None]], -1)


def _joints(phase: Float[np.ndarray, " t"], gait: float) -> list[Points]:
    hips, chest, head = trunk(phase, gait)
    points = {"nose": head + at(0, 0, 0.11)}
    for name, side in (("l", -1), ("r", 1)):
        points[f"{name}_eye"] = head + at(0.035 * side, 0.03, 0.1)
        points[f"{name}_ear"] = head + at(0.09 * side, 0.02, 0)
        arms, legs = arm(chest, side, phase, gait), leg(hips, side, phase, gait)
        points |= {f"{name}_{part}": joint for part, joint in zip(_LIMBS, (*arms, *legs), strict=True)}
    return [points[name] for name in (*COCO_PARTS, *(f"{side}_{part}" for part in _LIMBS for side in "lr"))]
