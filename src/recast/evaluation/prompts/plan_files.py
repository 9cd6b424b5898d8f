"""Plans as files that `recast generate --storyboard` reads and that can be edited: a storyboard, layouts beside it."""

import json
from dataclasses import dataclass
from pathlib import Path

from recast.errors import RequestError
from recast.evaluation.prompts.planners import PlannedBoxes, PlannedScene, PlannedScenes, Planner
from recast.evaluation.results import check_place
from recast.video.output import check_free, new_file


@dataclass(frozen=True, kw_only=True)
class PlanSettings:
    """What is planned. scenes: how many; one is the prompt itself. moments: prompts of each scene, 1 for one.

    boxes: moments at which things have boxes in each scene, 0 for none. seconds: of the one scene.
    """

    scenes: int = 3
    moments: int = 1
    boxes: int = 0
    seconds: float = 2.0

    def __post_init__(self) -> None:
        if self.boxes and self.moments > 1:
            raise RequestError("boxes hold words of one prompt, and a scene with moments has several; say one of them")


def planned(prompt: str, planner: Planner, settings: PlanSettings, name: str) -> dict[str, str]:
    """The text of each file by its name, that of the storyboard first. name: of the storyboard. Raises RecastError.

    A subject is said once, before all scenes; prompts at moments are whole, and say it themselves.
    """
    if settings.scenes == 1:
        subject, scenes = "", (PlannedScene.model_construct(prompt=prompt, seconds=settings.seconds),)
    else:
        found: PlannedScenes = planner.scenes(prompt, settings.scenes)
        subject, scenes = found.subject, found.scenes
    lines, files = [f"# planned from: {prompt}"], dict[str, str]()
    if subject and settings.moments == 1:
        lines.append(f"subject = {_quoted(subject)}")
    for number, scene in enumerate(scenes, 1):
        whole = ", ".join(filter(None, (subject, scene.prompt)))
        lines += ["", "[[scene]]", f"seconds = {scene.seconds:g}"]
        if settings.moments > 1:
            prompts = planner.prompts(whole, scene.seconds, settings.moments).prompts
            times = _times(scene.seconds, len(prompts))
            keyed = ", ".join(f"{time:.4f}s: {each}" for time, each in zip(times, prompts, strict=True))
            lines.append(f"schedule = {{ prompt = {_quoted(keyed)} }}")
        else:
            lines.append(f"prompt = {_quoted(scene.prompt)}")
        if settings.boxes:
            beside = layout_name(name, number)
            files[beside] = layout_text(planner.boxes(whole, scene.seconds, settings.boxes), scene.seconds)
            lines.append(f"layout = {_quoted(beside)}")
    return {name: "\n".join(lines) + "\n", **files}


def layout_name(storyboard: str, scene: int) -> str:
    """Of the file of a scene's boxes, beside a storyboard of that name."""
    return f"{Path(storyboard).stem}-boxes{scene}.toml"


def layout_text(boxes: PlannedBoxes, seconds: float) -> str:
    """A layout as TOML."""
    lines = []
    for thing in boxes.objects:
        times = _times(seconds, len(thing.boxes))
        keys = [
            f"  {{ seconds = {time:.4f}, box = [{', '.join(f'{side:.4g}' for side in box)}] }},"
            for time, box in zip(times, thing.boxes, strict=True)
        ]
        lines += ["[[object]]", f"words = {_quoted(thing.words)}", "keys = [", *keys, "]", ""]
    return "\n".join(lines)


def write_plan(texts: dict[str, str], folder: Path, *, overwrite: bool = False) -> None:
    """Writes the files of a plan, the storyboard last, so that it names nothing that is not there.

    Raises RequestError for a file that is there and may not be overwritten.
    """
    for name, text in reversed(texts.items()):
        with new_file(folder / name, overwrite) as part:
            part.write_text(text, "utf-8")


def check_plan(target: Path, settings: PlanSettings, *, overwrite: bool) -> None:
    """Raises RequestError where a file of a plan cannot be, or is already there."""
    if target.suffix.lower() != ".toml":
        raise RequestError(f"a storyboard is a TOML file; name it so, such as {target.stem}.toml, not {target.name}")
    check_place(target)
    layouts = [layout_name(target.name, number) for number in range(1, settings.scenes + 1)] if settings.boxes else []
    for name in (target.name, *layouts):
        check_free(target.with_name(name), overwrite)


def _times(seconds: float, count: int) -> list[float]:
    """Moments evenly spaced from the start to the end of a clip."""
    return [seconds * number / max(1, count - 1) for number in range(count)]


def _quoted(text: str) -> str:
    """A string of TOML, which escapes as JSON does."""
    return json.dumps(text, ensure_ascii=False)
