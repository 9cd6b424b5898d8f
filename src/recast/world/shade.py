"""Shading: the colour of every pixel before a look is applied, from materials, textures, light and weather.

Colours are planes r, g, b of [t h w] from 0 to 1: arrays of planes are several times faster than interleaved ones.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from recast.world.bodies import BODIES
from recast.world.camera import Lens
from recast.world.light import HOURS, OVERCAST, sky, sun_direction
from recast.world.materials import Materials, materials
from recast.world.raycast import FAR, GROUND, SKY, Hits, Placed, Spots
from recast.world.scene import Scene
from recast.world.solids import Solid
from recast.world.tiles import SIDE, tile
from recast.world.weather import fogged, particles

Plane = Float32[np.ndarray, "t h w"]
Planes = tuple[Plane, ...]  # r, g, b


@dataclass(frozen=True, eq=False)
class Picture:
    """Shading results, the input of a look.

    albedo, lit: colours without and with light and weather; light: its brightness; lines: 1 on outlines and creases;
    surface: where on its tile each point lies, anchored to the thing that it belongs to; particles: flakes or drops,
    0 to 1; masks: the number of the subject; scale: pixels of the short side over 128.
    """

    scene: Scene
    albedo: Planes
    lit: Planes
    light: Plane
    lines: Plane
    surface: tuple[Plane, Plane]
    particles: Plane | None
    masks: UInt8[np.ndarray, "t h w"]
    is_sky: Bool[np.ndarray, "t h w"]
    scale: float


@dataclass(frozen=True, eq=False)
class Shot:
    """A scene after ray casting, before shading: hits, poses, pixels of subjects, solids with their owners, views."""

    hits: Hits
    seen: Placed
    spots: Spots
    masks: UInt8[np.ndarray, "t h w"]
    solids: list[Solid]
    owners: UInt8[np.ndarray, " n"]
    views: Float[np.ndarray, "t 4 4"]
    times: Float[np.ndarray, " t"]
    lens: Lens


def shaded(scene: Scene, shot: Shot) -> Picture:
    """The scene's picture."""
    hits, lens = shot.hits, shot.lens
    points, rays = _points(shot)
    toward = sun_direction(scene)
    facing, upward = _facing(shot, toward)
    dress = materials(scene, shot.solids, shot.owners, np.random.default_rng([scene.seed, 4]))
    is_sky = hits.ids == SKY
    surface = _surface(scene, shot, points, is_sky)
    albedo, glow = _albedo(scene, dress, surface, hits, lens)
    facing *= _shadows(scene, shot, points, toward)
    ambient = np.float32(0.8) + np.float32(0.2) * upward
    lit = _lit(albedo, glow, (facing, ambient), scene)
    above = np.flatnonzero(is_sky)
    if len(above):
        directions = tuple(rays[:, axis].ravel()[above] for axis in range(3))
        for plane, colour in zip(lit, sky(scene, directions), strict=True):
            plane.ravel()[above] = colour
    brightness = np.float32(HOURS[scene.time].brightness)
    return Picture(
        scene=scene,
        albedo=albedo,
        lit=fogged(lit, hits.inverse_depth, scene),
        light=(np.float32(0.35) * ambient + np.float32(0.65) * facing) * brightness,
        lines=_lines(hits),
        surface=surface,
        particles=particles(scene, shot.times, lens),
        masks=shot.masks,
        is_sky=is_sky,
        scale=min(lens.height, lens.width) / 128,
    )


def _points(shot: Shot) -> tuple[Float32[np.ndarray, "t 3 h w"], Float32[np.ndarray, "t 3 h w"]]:
    """Where each pixel's point is in the world, and the direction of its ray."""
    lens = shot.lens
    rays = np.ones((3, lens.height, lens.width), np.float32)
    rays[0], rays[1] = lens.columns, lens.rows[:, None]
    back = shot.views[:, :3, :3].swapaxes(1, 2).astype(np.float32)
    directions = (back @ rays.reshape(3, -1)).reshape(-1, 3, lens.height, lens.width)
    eyes = np.linalg.inv(shot.views)[:, :3, 3].astype(np.float32)
    return directions / shot.hits.inverse_depth[:, None] + eyes[:, :, None, None], directions


def _facing(shot: Shot, toward: Float[np.ndarray, " 3"]) -> tuple[Plane, Plane]:
    """How much each surface faces the light, 0 to 1, and the sky, -1 to 1.

    Inverse depth is linear on a plane, so its differences give normals; on curved parts of subjects, often too thin for
    differences, the gradient of X'BX is exact.
    """
    w, lens, views = shot.hits.inverse_depth, shot.lens, shot.views
    across, down = _slope(w, 2), _slope(w, 1)
    across *= np.float32(lens.focal)
    down *= np.float32(lens.focal)
    ahead = w - across * lens.columns - down * lens.rows[:, None]
    size = np.float32(-1) / np.sqrt(across * across + down * down + ahead * ahead)
    targets = np.stack([views[:, :3, :3] @ toward, views[:, :3, 1]], 1).astype(np.float32)
    planes = []
    for x, y, z in np.moveaxis(targets, 0, -1)[..., None, None]:
        plane = across * x
        plane += down * y
        plane += ahead * z
        plane *= size
        planes.append(plane)
    curved = np.array([solid.form in ("ball", "tube") for solid in shot.solids])[shot.spots.solid]
    at, solid = tuple(a[curved] for a in shot.spots.at), shot.spots.solid[curved]
    rows = shot.seen.forms[..., :3, :].astype(np.float32)[at[0], solid]
    normal = np.einsum("nij,nj->ni", rows, shot.spots.points[curved])
    normal /= np.sqrt((normal * normal).sum(-1, keepdims=True))
    for plane, target in zip(planes, targets.swapaxes(0, 1), strict=True):
        plane[at] = (normal * target[at[0]]).sum(-1)
    return planes[0].clip(0, 1), planes[1]


def _slope(w: Plane, axis: int) -> Plane:
    """Differences of neighbours, on each pixel's smoother side."""
    shape = list(w.shape)
    shape[axis] += 1
    step = np.empty(shape, np.float32)
    before, after = (np.moveaxis(step, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
    values, padded = np.moveaxis(w, axis, 0), np.moveaxis(step, axis, 0)
    np.subtract(values[1:], values[:-1], out=padded[1:-1])
    padded[0], padded[-1] = padded[1], padded[-2]
    return np.moveaxis(np.where(np.abs(before) < np.abs(after), before, after), 0, axis)


def _surface(
    scene: Scene, shot: Shot, points: Float32[np.ndarray, "t 3 h w"], is_sky: Bool[np.ndarray, "t h w"]
) -> tuple[Plane, Plane]:
    """Two coordinates in metres on each thing: of the ground x and z, of walls along and up, of subjects their own."""
    x, y, z = points[:, 0], points[:, 1], points[:, 2]
    flat = (shot.hits.ids == GROUND) | is_sky
    along, up = np.where(flat, x, x + z), np.where(flat, z, y)
    if is_sky.any():
        # On the sky's far screen a metre is invisible; it takes the measure of the subject's distance.
        near = np.float32(scene.reach / FAR)
        along[is_sky], up[is_sky] = x[is_sky] * near, y[is_sky] * near
    spots, seen = shot.spots, shot.seen
    if len(spots.solid):
        first = int(spots.solid.min())
        size = 1 / np.linalg.norm(seen.local[:, first:, :3, :3], axis=-1)
        local = (seen.local[:, first:, :3] * size[..., None]).astype(np.float32)[spots.at[0], spots.solid - first]
        own = np.einsum("nij,nj->in", local, spots.points) / spots.points[:, 3]
        along[spots.at], up[spots.at] = own[0] + 0.8 * own[2] + 3 * spots.solid, own[1] + 0.3 * own[2]
    return along, up


def _albedo(
    scene: Scene, dress: Materials, surface: tuple[Plane, Plane], hits: Hits, lens: Lens
) -> tuple[Planes, Planes | None]:
    """Colours of the materials with their textures, and the light that lit windows give."""
    ids = hits.ids.astype(np.intp)
    along, up = surface
    pixels = dress.pixels.take(ids)
    cell = ((up * pixels).astype(np.int32) & (SIDE - 1)) * SIDE + ((along * pixels).astype(np.int32) & (SIDE - 1))
    # A texture finer than a pixel would flicker: it fades where a tile's tenth falls below two pixels.
    fade = (hits.inverse_depth * (np.float32(lens.focal * 0.1 * SIDE / 2) / dress.pixels).take(ids)).clip(0, 1)
    fade *= dress.atlas.take(dress.offsets.take(ids) + cell)
    albedo = tuple((b.take(ids) + c.take(ids) * fade).clip(0, 1) for b, c in zip(dress.base, dress.change, strict=True))
    if not dress.glows.any():
        return albedo, None
    burning = dress.glows.take(ids) * np.where(dress.lit.take(ids), tile("lit").ravel().take(cell), np.float32(1))
    warm = (1.0, 1.0, 1.0) if scene.time == "day" else (1.0, 0.82, 0.42)
    return albedo, tuple(burning * np.float32(c) for c in warm)


def _shadows(
    scene: Scene, shot: Shot, points: Float32[np.ndarray, "t 3 h w"], toward: Float[np.ndarray, " 3"]
) -> Plane:
    """1 in the light, less on the ground below and beside each subject."""
    lens = shot.lens
    shade = np.ones(shot.masks.shape, np.float32)
    for subject in scene.subjects:
        kind = BODIES[subject.kind]
        wide, long = kind.width * subject.size * 0.62, kind.length * subject.size * 0.62
        lean = min(subject.height * 0.35, 1.2 * long)
        ahead = np.array([np.sin(subject.heading), np.cos(subject.heading)])
        for index, time in enumerate(shot.times):
            x, _, z = subject.position + time * subject.speed * np.array([ahead[0], 0, ahead[1]])
            x, z = x - lean * toward[0], z - lean * toward[2]
            seen = shot.views[index] @ [x, 0, z, 1]
            if seen[2] < 0.1:
                continue
            radius = 1.3 * max(wide, long) * lens.focal / seen[2] + 2
            column, row = (
                seen[0] / seen[2] * lens.focal + lens.width / 2,
                seen[1] / seen[2] * lens.focal + lens.height / 2,
            )
            rows = slice(max(0, int(row - radius)), max(0, int(row + radius)))
            columns = slice(max(0, int(column - radius)), max(0, int(column + radius)))
            px, pz = points[index, 0, rows, columns] - np.float32(x), points[index, 2, rows, columns] - np.float32(z)
            far = ((px * ahead[1] - pz * ahead[0]) / wide) ** 2 + ((px * ahead[0] + pz * ahead[1]) / long) ** 2
            dark = np.float32(0.75) * np.exp(-(far**2)) * (points[index, 1, rows, columns] < 0.03)
            shade[index, rows, columns] *= 1 - dark
    return shade


def _lit(albedo: Planes, glow: Planes | None, light: tuple[Plane, Plane], scene: Scene) -> Planes:
    """Albedo under the hour's key light and ambient light; an overcast sky spreads the one into the other."""
    facing, ambient = light
    hour = HOURS[scene.time]
    overcast = 0.3 if scene.environment == "room" else OVERCAST[scene.weather]
    lit = []
    for c in range(3):
        key, fill = hour.key[c] * (1 - overcast), hour.ambient[c] + 0.35 * overcast * hour.key[c]
        plane = facing * np.float32(key) + ambient * np.float32(fill)
        plane *= albedo[c]
        lit.append(plane if glow is None else plane + glow[c])
    return tuple(lit)


def _lines(hits: Hits) -> Plane:
    """1 on outlines and creases: there inverse depth is not linear."""
    w = np.pad(hits.inverse_depth, ((0, 0), (1, 1), (1, 1)), mode="edge")
    middle = 2 * hits.inverse_depth
    bend = np.abs(w[:, 1:-1, :-2] + w[:, 1:-1, 2:] - middle) + np.abs(w[:, :-2, 1:-1] + w[:, 2:, 1:-1] - middle)
    return ((bend / hits.inverse_depth - np.float32(0.015)) * np.float32(25)).clip(0, 1)
