"""Odd command lines: each is to end in one clear line, or to be carried out with what is odd said in a warning."""

import itertools
from collections.abc import Iterator

LONG = "snow " * 200_000
"""1 MB of words."""
ODD_TEXTS = (
    *("", " ", "\t\n", "\u200b", "\u200b\u200d\ufeff", "\u00a0", "\x00", "\x1b[2J", "snow\x07", "\udcff", "a\udc80b"),
    *("snow:abc", "snow:", "snow:1,5", "snow:1e5", "snow:nan", "snow:inf", "snow:-1", "snow:--1", "snow:999999999999"),
    *(":2", "::", "snow::2", LONG, "x" * 2001, "-", "--", "\u202esnow", "{}", "%s%n", "$(touch pwned)", "; ls"),
)
ODD_NUMBERS = (
    "",
    " ",
    "-1",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "0x10",
    "1,5",
    "one",
    "1 2",
    "٣",
    "9" * 400,
    "null",
    "[]",
    "true",
)
ODD_PATHS = (
    *("", ".", "..", "/", "/dev/null", "/dev/zero", "/proc/self/mem", "no/such/file.mp4", "a" * 300, "a" * 5000),
    *("\x00.mp4", "\udcff.mp4", "-", "file:clip", "http://127.0.0.1:9/x.mp4", "concat:a|b", "pipe:0", "%05d", "%s.png"),
    *("~", "clip/000.png/x", "\n", "\x1b]0;x\x07.mp4", "data:video/mp4;base64,AAAA", "lavfi:testsrc", "*", "?.mp4"),
)
NUMBERED = ("--cfg", "--steps", "--seed", "--ensemble", "--window", "--segment", "--structure-detail", "--feather")
TIMED = ("--start", "--end", "--duration", "--max-frames", "--size")
NAMED = (
    "--method",
    "--scheduler",
    "--structure",
    "--edit",
    "--enlarge",
    "--device",
    "--dtype",
    "--guidance",
    "--on-damage",
)
FILES = ("--mask", "--image", "--adapter", "-m", "-o")
COMBINED = (
    *(["-p", "snow", "--end", "1", "--duration", "1"], ["-p", "snow", "--start", "2", "--end", "1"]),
    *(["-p", "snow", "--edit", "outside"], ["-p", "snow", "--set"], ["-p", "snow", "--set", "="], ["--cfg=-1"]),
    *(["-p", "snow", "--set", "seed"], ["-p", "snow", "--set", "=1"], ["-p", "snow", "--set", f"x={LONG}"]),
    *(["-p", "snow", "--set", "knobs=3"], ["-p", "snow", "--set", "words={}"], ["-p", "snow", "--set", "source=1"]),
    *(["-p", "snow", "--set", "words=" + "[" * 5000], ["-p", "snow", "--set", "schema_version=2"], ["-p"], ["-o"]),
    *(
        ["-p", "snow", "--nosuch"],
        ["-p", "snow", f"--{LONG[:5000]}"],
        ["-p", "snow", "extra"],
        ["-p", "snow", "-y", "-y"],
    ),
)


def command_lines() -> Iterator[list[str]]:
    """What comes behind `recast`; the clip is ./clip, a folder of pictures, and the model ./model."""
    edit = ["edit", "clip", "-m", "model", "--steps", "1", "-q"]
    for flag, text in itertools.product(("-p", "--negative", "--source-prompt"), ODD_TEXTS):
        yield [*edit, *(() if flag == "-p" else ("-p", "snow")), flag, text]
    for flag, number in itertools.product((*NUMBERED, *TIMED), ODD_NUMBERS):
        yield [*edit, "-p", "snow", f"{flag}={number}"]
    for flag, name in itertools.product(NAMED, ("", "nosuch", "\u200b", LONG, "\x1b[2J", "gen1,sdedit")):
        yield [*edit, "-p", "snow", f"{flag}={name}"]
    for flag, path in itertools.product(FILES, ODD_PATHS):
        yield [*edit, "-p", "snow", flag, path]
    for command, path in itertools.product(("edit", "info", "rerun", "preview", "structure"), ODD_PATHS):
        more = {"structure": ("-o", "m"), "info": (), "rerun": ()}.get(command, ("-p", "snow", "-m", "model"))
        yield [command, *more, "--", path]
    for more in COMBINED:
        yield [*edit, *more]
