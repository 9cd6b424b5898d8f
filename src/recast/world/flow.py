"""Ground-truth optical flow: the projected motion of each visible point to the next frame."""

import numpy as np
from jaxtyping import Float, Float32

from recast.world.camera import Lens
from recast.world.raycast import Hits, Spots
from recast.world.solids import Solid


def flowed(
    hits: Hits, spots: Spots, world: list[Solid], views: Float[np.ndarray, "t1 4 4"], lens: Lens
) -> Float32[np.ndarray, "t h w 2"]:
    """Flow in pixels, right and down, to the next view; views and poses of solids have one time more than hits."""
    flow = np.empty((*hits.ids.shape, 2), np.float32)
    focal = np.float32(lens.focal)
    rays = np.ones((4, *hits.ids.shape[1:]), np.float32)
    rays[0], rays[1] = lens.columns, lens.rows[:, None]
    for index, step in enumerate((views[1:] @ np.linalg.inv(views[:-1])).astype(np.float32)):
        rays[3] = hits.inverse_depth[index]
        there = (step[:3] @ rays.reshape(4, -1)).reshape(3, *rays.shape[1:])
        scale = focal / there[2]
        for axis in (0, 1):
            flow[index, ..., axis] = there[axis] * scale - rays[axis] * focal
    if len(spots.solid):
        flow[spots.at] = _moved(spots, world, views) * focal
    return flow


def _moved(spots: Spots, world: list[Solid], views: Float[np.ndarray, "t1 4 4"]) -> Float32[np.ndarray, "n 2"]:
    """Flow in u and v of the points on moving solids."""
    first = int(spots.solid.min())
    poses = np.stack([np.broadcast_to(solid.pose, views.shape) for solid in world[first:]], 1)
    carried = (views[1:, None] @ poses[1:] @ np.linalg.inv(views[:-1, None] @ poses[:-1])).astype(np.float32)
    there = np.einsum("nij,nj->ni", carried[spots.at[0], spots.solid - first, :3], spots.points)
    return there[:, :2] / there[:, 2:] - spots.points[:, :2]
