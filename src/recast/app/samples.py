"""A clip for those who have none at hand, rendered by `recast world` in a process of its own."""

from pathlib import Path

from recast.app.files import UserFile, UserFiles
from recast.app.making import Making, commanded

NUMBER = "5a3b1e" + "0" * 26
"""The sample's name among files: there is one."""
NAME = "a dog on a meadow.mp4"
SCENE = {"seed": 7, "environment": "grass meadow", "time": "day", "weather": "sun", "look": "plain"}
SUBJECT = {"subject": "dog", "colour": "brown", "frames": 24, "size": "512x288"}


def sample_clip(files: UserFiles, making: Making) -> UserFile | None:
    """The sample; None while it is being rendered. Raises once what hindered that."""

    def write(part: Path) -> None:
        made = part.with_suffix(".mp4")
        settings = [text for name, value in (SCENE | SUBJECT).items() for text in (f"--{name}", str(value))]
        commanded("world", *settings, "-o", str(made), "-q")
        made.rename(part)

    is_made = making.is_made(files.folder / NUMBER, lambda: files.make(NUMBER, NAME, write))
    return files.facts(NUMBER) if is_made else None
