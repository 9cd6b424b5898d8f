"""The limits of CONTRIBUTING.md that no linter knows. Docstrings, complexity and line length are ruff's."""

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_FILE_LINES, MAX_FUNCTION_LINES, COPY_LINES = 250, 40, 6
MAX_PACKAGE_BYTES, LARGE_BYTES = 45_000_000, 1_000_000  # pocket has 25 of them, pocket-words 18, the judge 2
LARGE = ("src/recast/assets/pocket*/*/*.safetensors", "src/recast/assets/judge/model.safetensors")
LARGE += ("benchmarks/results/methods-*.jsonl",)  # figures of 37 ways to edit 60 worlds
"""Files over 1 MB that earn their place."""

# Ordinary words are exempt: after, answers, below, each, levels, look, places, planes, trained, walk, wanted and so on.
RETIRED = {
    "ALONE": "SINGLE",
    "Ask": "BranchDenoiser",
    "Bench": "EvalContext",
    "Cache": "LatentCache",
    "Course": "TrainingRun",
    "Crew": "Executor",
    "Depths": "PriorConfig",
    "Diet": "DataMix",
    "Edit": "StepHook",
    "Facts": "ModelMetadata",
    "Heard": "PriorData",
    "Held": "CaptionPairs",
    "Layers": "UNetConfig",
    "Layout": "BatchLayout",
    "Learner": "TrainState",
    "Lessons": "JudgeDataset",
    "LevelsError": "ScheduleError",
    "Matter": "SourceKind",
    "Measured": "LossOutput",
    "Pool": "RenderedDataset",
    "Recipe": "TrainConfig",
    "Remade": "Edited",
    "Said": "ContentInput",
    "Scales": "VAEConfig",
    "Seen": "Prepared, StepStats or JudgeOutput, by what it holds",
    "Setting": "EvalConfig",
    "Share": "BatchShard",
    "Shot": "DenoiseInputs",
    "Switch": "TemporalContext",
    "Task": "EvalItem",
    "Towers": "CLIPConfig",
    "Trial": "Variant",
    "Widths": "DepthConfig",
    "_down_to_nothing": "rescale_zero_snr",
    "_said": "args, prompt, or what it holds",
    "_told": "conditioned, or what it holds",
    "begun": "initial_network",
    "chance": "rng_state",
    "check_falling": "check_decreasing",
    "coded": "args, prompt, or what it holds",
    "course": "training_run",
    "draws": "rng",
    "diet": "mix",
    "heard": "prior_data",
    "joining": "grad_sync",
    "keeping": "blend_source",
    "let_go": "reshard",
    "log_sharpness": "logit_scale",
    "remake": "generate",
    "said": "args, prompt, or what it holds",
    "schooling": "train_judge",
    "shortened": "truncated",
    "settle": "copy_ema",
    "steadied": "temporal_weight",
    "stopping": "signals",
    "takes": "structure_kinds",
    "told": "conditioned, or what it holds",
    "unwanted": "uncond",
    "wear": "augment",
}
"""Identifiers that gave way to the field's terms, with what took their place."""
WORLD = Path("src/recast/world")  # there a shot is a film-maker's: the field has no other word for it

VAGUE_NAMES = {"utils", "util", "helpers", "helper", "misc", "common"}
OPEN_ENDS = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b(?!.*#\d)")
OPENCV_FILES = re.compile(r"\bcv2\.(?:imread|imwrite|imdecode|imencode|VideoCapture|VideoWriter)")
MACHINES = re.compile(r"(?<![\w.])/(?:work|root|home|Users)/\w|files\.python[h]osted|registry\.np[m]js|deb\.[d]ebian")


def _files_of_the_repository() -> list[Path]:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout", allow_module_level=True)
    return [ROOT / name for name in sorted(set(done.stdout.split("\0")) - {""}) if (ROOT / name).is_file()]


FILES = _files_of_the_repository()
MODULES = {path.relative_to(ROOT): path.read_text() for path in FILES if path.suffix == ".py"}
trees = cache(lambda: {path: ast.parse(text) for path, text in MODULES.items()})  # every process collects this file


def _nothing(found: Iterator[str], remedy: str) -> None:
    listed = list(found)
    assert not listed, "\n".join([remedy, *listed])


def test_files_are_short():
    lines = {path: len(text.splitlines()) for path, text in MODULES.items()}
    _nothing(
        (f"{path}: {count} lines" for path, count in lines.items() if count > MAX_FILE_LINES),
        f"a file has at most {MAX_FILE_LINES} lines; move one story out of it:",
    )


def test_functions_are_short():
    functions = (
        (path, node, node.end_lineno - node.lineno + 1)
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    _nothing(
        (
            f"{path}:{node.lineno}: {node.name} has {lines} lines"
            for path, node, lines in functions
            if lines > MAX_FUNCTION_LINES
        ),
        f"a function has at most {MAX_FUNCTION_LINES} lines, with its docstring; it tells one story at one level:",
    )


def test_names_say_what_is_inside():
    _nothing((f"{path}" for path in MODULES if path.stem in VAGUE_NAMES), "a file is named by what it holds:")


def test_no_two_classes_share_a_name():
    classes = [
        (node.name, f"{path}:{node.lineno}")
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if path.parts[0] == "src" and isinstance(node, ast.ClassDef)
    ]
    times = Counter(name for name, _ in classes)
    _nothing(
        (f"{place}: {name}" for name, place in classes if times[name] > 1),
        "one name, one class in the whole package:",
    )


def test_retired_names_stay_away():
    used = chain.from_iterable(_identifiers(path, tree) for path, tree in trees().items())
    _nothing(
        (
            f"{path}:{line}: {name} is {RETIRED[name]}"
            for path, line, name in used
            if name in RETIRED and not (name == "Shot" and path.is_relative_to(WORLD))
        ),
        "these names gave way to the field's terms:",
    )


def _identifiers(path: Path, tree: ast.Module) -> Iterator[tuple[Path, int, str]]:
    """Every name that is defined, imported, read, or passed as a keyword."""
    for node in ast.walk(tree):
        names = [getattr(node, field, None) for field in ("name", "asname", "id", "attr", "arg")]
        for name in filter(lambda name: isinstance(name, str), names):
            yield path, node.lineno, name.rpartition(".")[2]


def test_imports_go_round_in_no_circle():
    graph = pytest.importorskip("grimp").build_graph("recast", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    sorter = TopologicalSorter(imports)
    try:
        sorter.prepare()
    except CycleError as error:
        pytest.fail(" is imported by ".join(error.args[1]))


def test_shapes_stay_visible_to_the_checker():
    _nothing(
        (f"{path}" for path, text in MODULES.items() if "\nfrom __future__ import annotations" in f"\n{text}"),
        "annotations must stay objects, or shapes are not checked:",
    )


@pytest.mark.parametrize(
    ("pattern", "remedy"),
    [
        pytest.param(OPEN_ENDS, "open ends name their issue, as #12:", id="open-ends"),
        pytest.param(OPENCV_FILES, "files go through PyAV and Pillow, OpenCV sees only pixels:", id="opencv"),
        pytest.param(MACHINES, "no paths of one machine, no hosts of a registry:", id="machines"),
    ],
)
def test_no_line_says(pattern, remedy):
    lines = chain.from_iterable(map(_numbered_lines, FILES))
    _nothing((f"{place}: {line.strip()}" for place, line in lines if pattern.search(line)), remedy)


def _numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    if b"\0" not in (content := path.read_bytes()):
        for number, line in enumerate(content.decode().splitlines(), start=1):
            yield f"{path.relative_to(ROOT)}:{number}", line


def test_nothing_is_written_twice():
    runs = {path: list(_runs(text, trees()[path])) for path, text in MODULES.items()}
    places = Counter(run for found in runs.values() for _, run in found)
    twice = (f"{path}:{line}: {run[0]}" for path, found in runs.items() for line, run in found if places[run] > 1)
    _nothing(twice, f"{COPY_LINES} lines stand in two places; let one serve both:")


def _runs(text: str, tree: ast.Module) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Every run of six lines that say what is done: no blanks, comments, lone brackets, imports or signatures."""
    passed_over = set(chain.from_iterable(_declared_lines(node) for node in ast.walk(tree)))
    stripped = ((number, line.strip()) for number, line in enumerate(text.splitlines(), start=1))
    code = [(n, line) for n, line in stripped if n not in passed_over and re.search(r"\w", line) and line[0] != "#"]
    for start in range(len(code) - COPY_LINES + 1):
        run = code[start : start + COPY_LINES]
        yield run[0][0], tuple(line for _, line in run)


def _declared_lines(node: ast.AST) -> range:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return range(node.lineno, (node.end_lineno or node.lineno) + 1)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return range(node.lineno, node.body[0].lineno)
    return range(0)


def test_package_data_is_small():
    data = [path for path in FILES if path.is_relative_to(ROOT / "src") and path.suffix != ".py"]
    size = sum(path.stat().st_size for path in data)
    assert size <= MAX_PACKAGE_BYTES, f"the package carries {size:,} bytes of data, at most {MAX_PACKAGE_BYTES:,}"


def test_large_files_are_listed():
    large = ((path.relative_to(ROOT), path.stat().st_size) for path in FILES)
    _nothing(
        (
            f"{path}: {size:,} bytes"
            for path, size in large
            if size > LARGE_BYTES and not any(path.match(pattern) for pattern in LARGE)
        ),
        "a file over 1 MB has to earn its place and a line in LARGE:",
    )
