"""The manifest of shards: one Parquet row per sample, with the byte offset of each member."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recast.errors import RequestError, extra
from recast.files import disk_told, hidden_part, whole_file


def schema(scores: Iterable[str] = ()) -> Any:  # noqa: ANN401 -- pyarrow has no types
    """The columns; scores: names of the filters' scores. Raises ExtraError where pyarrow is missing."""
    with extra("curate"):
        import pyarrow as pa

    member = pa.struct(
        [("name", pa.string()), ("offset", pa.int64()), ("size", pa.int64()), ("crc32", pa.uint32())],
    )
    text, whole, real = pa.string(), pa.int64(), pa.float64()
    return pa.schema(
        [
            ("key", text),
            ("shard", text),
            ("bucket", text),
            ("frames", whole),
            ("source", text),
            ("start", whole),
            ("stride", whole),
            ("seconds", real),
            ("fps", real),
            ("width", whole),
            ("height", whole),
            ("caption", text),
            ("levels", pa.list_(real)),
            ("hash", text),
            ("scores", pa.struct([(name, real) for name in scores])),
            ("members", pa.list_(member)),
        ]
    )


def write_manifest(target: Path, batches: Iterable[list[dict[str, Any]]], scores: Iterable[str]) -> None:
    """Writes rows atomically, a row group for each batch."""
    columns = schema(scores)
    import pyarrow as pa
    import pyarrow.parquet as pq

    part = whole_file(target, hidden_part(target))
    with disk_told(target), part as place, pq.ParquetWriter(place, columns) as writer:
        for rows in batches:
            writer.write_table(pa.Table.from_pylist(rows, schema=columns))


def manifest(path: Path) -> Any:  # noqa: ANN401 -- a table of pyarrow
    """The table in a manifest. Raises RequestError where it is missing, damaged, or lacks columns."""
    needed = schema()
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise RequestError(f"there is no {path.name} in {path.parent}, so it holds no shards; make some: recast curate")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as fault:
        raise RequestError(f"the manifest is damaged; copy it again, or curate anew: {path}") from fault
    read = ("key", "shard", "bucket", "frames", "caption", "levels", "members")
    missing = [
        name for name in read if name not in table.schema.names or table.field(name).type != needed.field(name).type
    ]
    if missing:
        raise RequestError(f"the manifest lacks {', '.join(missing)}, so it is not of recast curate: {path}")
    return table
