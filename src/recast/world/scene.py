"""Scenes: descriptions of a world in canonical words and numbers."""

from dataclasses import dataclass

from recast.world.bodies import BODIES
from recast.world.camera import Camera


@dataclass(frozen=True)
class Subject:
    """A subject of the clip.

    kind, colour: canonical words; position: x, height, z in metres at the middle of the clip; heading: radians, 0 away
    from the viewer, a quarter turn to the right; speed: metres a second; size: times the kind's own size; phase: of its
    stride, radians; gait: how lively its joints move, 0 standing, 1 walking, 2 running.
    """

    kind: str
    colour: str
    position: tuple[float, float, float]
    heading: float
    speed: float
    size: float
    phase: float
    gait: float

    @property
    def height(self) -> float:
        """In metres."""
        return BODIES[self.kind].height * self.size


@dataclass(frozen=True)
class Scene:
    """A description of a world: all that `rendered` needs.

    environment, time, weather, look: canonical words; subjects: the largest on screen first; layout: the environment
    whose shapes stand around, most often the environment itself; textured: 0 for clean surfaces, 1 for arbitrary ones;
    reach: metres from the eye to the middle of the stage; seed: of everything small (lights, textures, flakes).
    """

    environment: str
    time: str
    weather: str
    look: str
    subjects: tuple[Subject, ...]
    camera: Camera
    layout: str
    textured: float
    reach: float
    seed: int
