"""Rays against solids, in closed form and in inverse depth.

A pixel's ray (u, v, 1) meets the point X = (u, v, 1, w) of projective space, w being inverse depth. A quadric
X'BX = 0 is then a quadratic in w whose coefficients are polynomials in u and v, a plane is linear, and the nearest hit
is the largest w. So each solid costs a handful of array operations on its own rectangle of the frame, with no ray ever
written down.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int, Int16, UInt8

from recast.world.camera import Lens
from recast.world.solids import PLANES, Solid

FAR = 100.0  # metres; the sky, and everything beyond, is this far
NEAR = 0.05
Part = tuple[slice, slice]  # rows and columns of a rectangle of pixels
Sums = tuple[Float32[np.ndarray, "n w"], Float32[np.ndarray, "n h"]]
SKY, GROUND, FIRST = 0, 1, 2  # what a pixel shows: the sky, the ground, or solid number id - FIRST


@dataclass(frozen=True, eq=False)
class Hits:
    """What each pixel shows: inverse depth (1/m) and the index of a thing."""

    inverse_depth: Float32[np.ndarray, "t h w"]
    ids: Int16[np.ndarray, "t h w"]


@dataclass(frozen=True, eq=False)
class Placed:
    """Solids seen from the camera: `local` takes camera points to each solid's own frame, `forms` are its quadrics."""

    local: Float[np.ndarray, "t p 4 4"]
    forms: Float[np.ndarray, "t p 4 4"]
    windows: Int[np.ndarray, "t p 4"]


@dataclass(frozen=True, eq=False)
class Spots:
    """The pixels that show subjects: their places in [t h w], the numbers of their solids, and X = (u, v, 1, w)."""

    at: tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], Int[np.ndarray, " n"]]
    solid: Int[np.ndarray, " n"]
    points: Float32[np.ndarray, "n 4"]


def spots(hits: Hits, masks: UInt8[np.ndarray, "t h w"], lens: Lens) -> Spots:
    """The pixels of subjects, gathered so that they can be processed without the background."""
    where = np.flatnonzero(masks)
    frame, rest = np.divmod(where, masks[0].size)
    row, column = np.divmod(rest, masks.shape[2])
    points = np.empty((len(where), 4), np.float32)
    points[:, 0], points[:, 1], points[:, 2] = lens.columns[column], lens.rows[row], 1
    points[:, 3] = hits.inverse_depth.ravel()[where]
    return Spots((frame, row, column), hits.ids.ravel()[where].astype(int) - FIRST, points)


def cast(solids: list[Solid], views: Float[np.ndarray, "t 4 4"], lens: Lens) -> tuple[Hits, Placed]:
    """The nearest of sky, ground and solids at every pixel."""
    seen = positioned(solids, views, lens)
    frames = [_frame(solids, seen, views[i], lens, i) for i in range(len(views))]
    return Hits(np.stack([f[0] for f in frames]), np.stack([f[1] for f in frames])), seen


def positioned(solids: list[Solid], views: Float[np.ndarray, "t 4 4"], lens: Lens) -> Placed:
    """Every solid's pose, quadric and rectangle of pixels in every frame."""
    poses = np.stack([np.broadcast_to(s.pose, (len(views), 4, 4)) for s in solids], 1)
    seen = views[:, None] @ poses
    local = np.linalg.inv(seen)
    units = np.stack([_quadric(s) for s in solids])
    forms = local.swapaxes(-1, -2) @ units @ local
    return Placed(local, forms, _windows(seen, [s.form == "ball" for s in solids], lens))


def _quadric(solid: Solid) -> Float[np.ndarray, "4 4"]:
    """The matrix Q of Y'QY = 0 in the solid's own frame; a tube's radius falls from 1 to `taper` along y."""
    if solid.form == "tube":
        middle, slope = (1 + solid.taper) / 2, (solid.taper - 1) / 2
        form = np.diag([1.0, -(slope**2), 1.0, -(middle**2)])
        form[1, 3] = form[3, 1] = -middle * slope
        return form
    return np.diag([1.0, 1.0, 1.0, -1.0])


def _windows(seen: Float[np.ndarray, "t p 4 4"], is_ball: list[bool], lens: Lens) -> Int[np.ndarray, "t p 4"]:
    """Left, right, top, bottom pixel of each solid: exact for balls, of the corners for the rest."""
    corners = np.array([[x, y, z, 1] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float).T
    points = seen[:, :, :3] @ corners
    depth = points[:, :, 2]
    flat = points[:, :, :2] / np.maximum(depth, NEAR)[:, :, None]
    low, high = flat.min(-1), flat.max(-1)
    # Dual conic of the outline of an ellipsoid; its corner entries give the tangent columns and rows.
    dual = seen[..., :3, :] * [1, 1, 1, -1] @ seen[..., :3, :].swapaxes(-1, -2)
    edge, across, size = dual[..., :2, 2], dual[..., [0, 1], [0, 1]], dual[..., 2, 2]
    with np.errstate(all="ignore"):
        spread = np.sqrt(edge**2 - across * size[..., None])
        one, two = (edge - spread) / size[..., None], (edge + spread) / size[..., None]
    exact = (np.array(is_ball) & (size < 0))[..., None] & np.isfinite(spread)
    low, high = np.where(exact, np.minimum(one, two), low), np.where(exact, np.maximum(one, two), high)
    behind, cut = depth.max(-1) < NEAR, depth.min(-1) < NEAR
    bounds = np.empty((*behind.shape, 4), int)
    for axis, side in ((0, lens.width), (1, lens.height)):
        first = np.clip(np.floor(low[..., axis] * lens.focal + side / 2 - 0.5), 0, side)
        last = np.clip(np.ceil(high[..., axis] * lens.focal + side / 2 + 0.5), 0, side)
        whole = cut & ~exact[..., axis]
        bounds[..., 2 * axis] = np.where(whole, 0, first)
        bounds[..., 2 * axis + 1] = np.where(behind, 0, np.where(whole, side, last))
    return bounds


def _frame(
    solids: list[Solid], seen: Placed, view: Float[np.ndarray, "4 4"], lens: Lens, index: int
) -> tuple[Float32[np.ndarray, "h w"], Int16[np.ndarray, "h w"]]:
    best, ids = _ground(view, lens)
    middles, spreads, twist = _curves(seen.forms[index], lens)
    ends = _sums(seen.local[index, :, 1, :3], lens)
    with np.errstate(invalid="ignore"):
        for number, (left, right, top, bottom) in enumerate(seen.windows[index].tolist()):
            if right <= left or bottom <= top:
                continue
            part, solid = (slice(top, bottom), slice(left, right)), solids[number]
            if solid.form in PLANES:
                near = _polytope(PLANES[solid.form] @ seen.local[index, number], part, lens)
            else:
                spread = _sum(spreads, number, part)
                spread += twist[number][part[0], None] * lens.columns[part[1]]
                np.sqrt(spread, out=spread)
                near = _sum(middles, number, part)
                if solid.form == "tube":
                    near = _ended(near, spread, _sum(ends, number, part), np.float32(seen.local[index, number, 1, 3]))
                else:
                    near += spread
            nearer = near > best[part]
            np.copyto(best[part], near, where=nearer)
            np.copyto(ids[part], np.int16(number + FIRST), where=nearer)
    return best, ids


def _ground(view: Float[np.ndarray, "4 4"], lens: Lens) -> tuple[Float32[np.ndarray, "h w"], Int16[np.ndarray, "h w"]]:
    """Ground plane and sky, without solids."""
    height = np.linalg.inv(view)[1]  # of a camera point above the ground
    ground = _sum(_sums(-height[None, :3] / height[3], lens), 0, (slice(None), slice(None)))
    return np.maximum(ground, np.float32(1 / FAR)), np.where(ground > 1 / FAR, np.int16(GROUND), np.int16(SKY))


def _sums(rows: Float[np.ndarray, "n 3"], lens: Lens) -> Sums:
    """Row . (u, v, 1) for many rows, as terms of columns and of rows of pixels."""
    rows = rows.astype(np.float32)
    return rows[:, :1] * lens.columns + rows[:, 2:], rows[:, 1:2] * lens.rows


def _sum(sums: Sums, number: int, part: Part) -> Float32[np.ndarray, "i j"]:
    """One of them on a part of the frame, of i rows and j columns."""
    return sums[0][number, part[1]] + sums[1][number, part[0], None]


def _curves(forms: Float[np.ndarray, "p 4 4"], lens: Lens) -> tuple[Sums, Sums, Float32[np.ndarray, "p h"]]:
    """X'BX = 0 solved for w: w = middle +- sqrt(spread), both polynomials of u and v; the mixed term comes apart."""
    scale = forms[:, 3, 3, None]
    slope = -forms[:, 3, :3] / scale
    disc = (slope[:, :, None] * slope[:, None] - forms[:, :3, :3] / scale[..., None]).astype(np.float32)
    u, v = lens.columns, lens.rows
    across = (disc[:, 0, :1] * u + 2 * disc[:, 0, 2:]) * u + disc[:, 2, 2:]
    down = (disc[:, 1, 1:2] * v + 2 * disc[:, 1, 2:]) * v
    return _sums(slope, lens), (across, down), 2 * disc[:, 0, 1:2] * v


def _ended(
    middle: Float32[np.ndarray, "i j"],
    spread: Float32[np.ndarray, "i j"],
    along: Float32[np.ndarray, "i j"],
    lift: np.float32,
) -> Float32[np.ndarray, "i j"]:
    """The nearer hit of a tube that lies between its ends, not a number where there is none."""
    near, far = middle + spread, middle - spread
    far[~(np.abs(along + lift * far) <= far)] = np.nan
    return np.where(np.abs(along + lift * near) > near, far, near)


def _polytope(planes: Float[np.ndarray, "n 4"], part: Part, lens: Lens) -> Float32[np.ndarray, "i j"]:
    """Inverse depth where the ray enters a convex solid, 0 where it passes by."""
    bounds = _sums(-planes[:, :3] / planes[:, 3:], lens)
    outer = planes[:, 3] > 0  # the eye is outside of these planes: the ray enters through the farthest of them
    enter, leave = None, None
    for number, outside in enumerate(outer.tolist()):
        bound = _sum(bounds, number, part)
        if outside:
            enter = bound if enter is None else np.minimum(enter, bound, out=enter)
        else:
            leave = bound if leave is None else np.maximum(leave, bound, out=leave)
    if enter is None or leave is None:
        return np.zeros((part[0].stop - part[0].start, part[1].stop - part[1].start), np.float32)
    enter[enter < leave] = 0
    return enter
