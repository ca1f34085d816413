"""Export dead letters: their bytes as files with an index, or as one Parquet file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from finkray.dead_letters.search import DeadLetters, Selection
from finkray.errors import FinkrayError, StorageError
from finkray.packets.dead_letters import DEAD_LETTER_SCHEMA
from finkray.storage.layout import topic_id8
from finkray.whole_file import whole_file

INDEX = "index.jsonl"
"""File with one line of JSON for each letter; written after all others."""

PARQUET_SCHEMA = pa.schema([*DEAD_LETTER_SCHEMA, pa.field("resolved", pa.bool_())])


def export(
    letters: DeadLetters, selection: Selection, target: Path, on_progress: Callable[[str], None]
) -> int:
    """Write the selected letters to a folder, or to a file whose name ends in ``.parquet``.

    Parameters
    ----------
    letters, selection
        the letters to write
    target
        must not exist, or be an empty folder
    on_progress
        receives the progress as text

    Returns
    -------
    int
        number of letters written

    Raises
    ------
    FinkrayError
        if the target exists
    StorageError
        if the target cannot be written
    """
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise FinkrayError(f"{target} is there already: give another name, or move it away")
    try:
        if target.suffix == ".parquet":
            return _to_parquet(letters, selection, target, on_progress)
        return _to_folder(letters, selection, target, on_progress)
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror or error}") from error


def _to_parquet(
    letters: DeadLetters, selection: Selection, target: Path, on_progress: Callable[[str], None]
) -> int:
    written = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        whole_file(target) as sink,
        pq.ParquetWriter(sink, PARQUET_SCHEMA, compression="zstd") as out,
    ):
        for selected in letters.letters(selection, on_progress=on_progress):
            out.write_table(selected.table.select(PARQUET_SCHEMA.names))
            written += len(selected.table)
    return written


def _to_folder(
    letters: DeadLetters, selection: Selection, target: Path, on_progress: Callable[[str], None]
) -> int:
    target.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    for selected in letters.letters(selection, on_progress=on_progress):
        for row in selected.table.to_pylist():
            value = row.pop("value")
            row["file"] = None if value is None else _file_name(row)
            if value is not None:
                (target / row["file"]).write_bytes(value)
            row["kept_bytes"] = len(value or b"")
            lines.append(json.dumps(as_json(row)))
    (target / INDEX).write_text("".join(f"{line}\n" for line in lines))
    return len(lines)


def as_json(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of dead letters with times as ISO 8601."""
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in row.items()
    }


def _file_name(row: dict[str, Any]) -> str:
    topic = f"{row['kafka_topic']}-{topic_id8(row['topic_id'])}"
    return f"{topic}-{row['kafka_partition']:05d}-{row['kafka_offset']:020d}.bin"
