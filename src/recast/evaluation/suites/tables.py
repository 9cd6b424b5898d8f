"""What a suite measured as tables: one row an edit (Parquet), and the means of each way to edit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recast.errors import extra
from recast.evaluation import METRICS
from recast.evaluation.figures import SEED
from recast.evaluation.intervals import Figure, clustered
from recast.evaluation.suites.suite_file import SuiteItem
from recast.files import whole_file

Rows = Mapping[SuiteItem, Mapping[str, Any]]
TABLE = "results.parquet"


def write_table(rows: Rows, target: Path) -> None:
    """One row an edit, in their order, as Parquet; equal rows give equal bytes. Raises ExtraError without pyarrow.

    Columns: what was asked for, why there is no edit, the file, and each measure of METRICS, of the edit and, where it
    has one, of the source (source_NAME). What was not measured is null.
    """
    with extra("evaluate"):
        import pyarrow as pa
        import pyarrow.parquet as pq

    names = measures(rows)
    sources = [name for name in names if any(name in row.get("source", {}) for row in rows.values())]
    listed = [_cells(item, row, names, sources) for item, row in rows.items()]
    schema = pa.schema([(name, _kind(pa, name)) for name in listed[0]])
    with whole_file(target) as part:
        pq.write_table(pa.Table.from_pylist(listed, schema), part)


def measures(rows: Rows) -> list[str]:
    """Every measure that some edit has, in the order of METRICS."""
    held = {name for row in rows.values() for name in row.get("figures", {})}
    return [name for name in METRICS if name in held]


def means(rows: Rows) -> dict[str, dict[str, Figure]]:
    """The mean of each measure for each way to edit, by its label; the interval is over clips and their edits."""
    values: dict[str, dict[str, dict[str, list[float]]]] = {}
    for item, row in rows.items():
        by_name = values.setdefault(item.arm.label, {})
        for name, value in row.get("figures", {}).items():
            by_name.setdefault(name, {}).setdefault(item.edit.name, []).append(value)
    return {
        label: {name: clustered(list(clips.values()), np.random.default_rng(SEED)) for name, clips in by_name.items()}
        for label, by_name in values.items()
    }


def source_means(rows: Rows) -> dict[str, Figure]:
    """The same of the sources, each clip counted once for each of its prompts."""
    values: dict[str, dict[str, dict[str, float]]] = {}
    for item, row in rows.items():
        for name, value in row.get("source", {}).items():
            values.setdefault(name, {}).setdefault(item.edit.name, {})[item.edit.words] = value
    return {
        name: clustered([list(each.values()) for each in clips.values()], np.random.default_rng(SEED))
        for name, clips in values.items()
    }


def _cells(item: SuiteItem, row: Mapping[str, Any], names: list[str], sources: list[str]) -> dict[str, Any]:
    edit, figures, source = item.edit, row.get("figures", {}), row.get("source", {})
    options = dict(item.arm.options)
    asked = {
        "clip": edit.name,
        "kind": edit.kind,
        "prompt": edit.words,
        "source_caption": edit.source_words,
        "method": str(options.pop("method", "auto")),
        "options": " ".join(f"{name}={value}" for name, value in options.items()),
        "model": Path(item.arm.model).name,
        "seed": item.seed,
        "file": None if "refusal" in row else f"edits/{item.name}.mp4",
        "refusal": row.get("refusal"),
        "frame_count": row.get("frame_count"),
    }
    measured = {name: figures.get(name) for name in names}
    return asked | measured | {f"source_{name}": source.get(name) for name in sources}


def _kind(arrow: Any, name: str) -> Any:  # noqa: ANN401 -- pyarrow has no types
    if name in ("seed", "frame_count"):
        return arrow.int64()
    return arrow.float64() if name.removeprefix("source_") in METRICS else arrow.string()
