"""Open the alerts as one pyarrow dataset, with a schema that has every column."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from finkray.storage.contract import Storage, StoredFile
from finkray.storage.hours import HOUR, Span, hour_folders
from finkray.storage.layout import ALERTS_FOLDER, parse_path

_HOUR_KEYS = ("year", "month", "day", "hour")

FOLDER_SCHEMA = pa.schema([("topic", pa.string()), *((key, pa.int32()) for key in _HOUR_KEYS)])
"""Columns from the names of the folders: filters on them avoid opening files."""

_STAMP = pa.timestamp("us", "UTC")


def open_dataset(
    storage: Storage,
    span: Span,
    topics: frozenset[str] | None,
    below: str = ALERTS_FOLDER,
    schema: pa.Schema | None = None,
) -> tuple[pads.Dataset, pc.Expression | None]:
    """Return the dataset of the files with alerts of a span, and the filter for its rows.

    Every hour that overlaps the span is included. In an hour that an end of the span cuts,
    rows are selected by `kafka_timestamp`; of a whole hour all rows are selected, also those
    whose Kafka timestamp is missing or absurd.

    Parameters
    ----------
    storage
        of the archive, or of results
    span, topics
        the selection; no topics are all
    below
        the folder with the folders of topics
    schema
        of the files; None unifies the schemas of the files

    Raises
    ------
    ValueError
        if two files have columns of one name whose types cannot be unified
    """
    files, condition = select_files(storage, span, topics, below)
    return dataset_of_files(storage, [file.path for file in files], schema), condition


def select_files(
    storage: Storage, span: Span, topics: frozenset[str] | None, below: str = ALERTS_FOLDER
) -> tuple[list[StoredFile], pc.Expression | None]:
    """Return the files with alerts of a span, the earliest first, and the filter for their rows.

    Parameters
    ----------
    storage, span, topics, below
        as for `open_dataset`
    """
    hours = sorted(
        hour_folders(storage, span, topics, below), key=lambda folder_and_hour: folder_and_hour[1]
    )
    files = [file for folder, _ in hours for file in storage.files(folder)]
    return files, _condition(span, {hour for _, hour in hours})


def dataset_of_files(
    storage: Storage, paths: Sequence[str], schema: pa.Schema | None = None
) -> pads.Dataset:
    """Return the dataset of some files of a storage.

    Parameters
    ----------
    storage
        of the archive, or of results
    paths
        of the files, the earliest first
    schema
        as for `open_dataset`

    Raises
    ------
    ValueError
        as `open_dataset`
    """
    partitioning = pads.HivePartitioning(FOLDER_SCHEMA)
    files_schema = _common_schema(storage, paths) if schema is None else schema
    factory = pads.FileSystemDatasetFactory(
        storage.filesystem,
        paths,
        pads.ParquetFileFormat(),
        pads.FileSystemFactoryOptions(partitioning=partitioning),
    )
    return factory.finish(pa.unify_schemas([files_schema, FOLDER_SCHEMA]))


def unify(schemas: Mapping[str, pa.Schema]) -> pa.Schema:
    """Return a schema with every column and every nested field; nulls where a file lacks it.

    Parameters
    ----------
    schemas
        by the path of a file with that schema

    Raises
    ------
    ValueError
        if the types of two files conflict; the message names the files
    """
    unified = pa.schema([])
    known: list[str] = []
    for path, schema in schemas.items():
        try:
            unified = pa.unify_schemas([unified, schema], promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            other = next((each for each in known if _conflict(schemas[each], schema)), known[0])
            raise ValueError(
                f"{path} has other types than {other} ({error}): {_conflict_advice(path, other)}"
            ) from error
        known.append(path)
    return unified.remove_metadata()


def _conflict(first: pa.Schema, second: pa.Schema) -> bool:
    try:
        pa.unify_schemas([first, second], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return True
    return False


def _conflict_advice(path: str, other: str) -> str:
    """Return what to do about two files whose types conflict."""
    found, found_other = parse_path(path), parse_path(other)
    if found is None or found_other is None or found.topic != found_other.topic:
        return "open them apart, with topic="
    return (
        f"topic {found.topic} has two schemas that cannot be one table. Open hours with one of "
        "them alone (start=, end=), or with pyarrow the files of one schema, whose names end in "
        f"-{found.fingerprint8}.parquet and -{found_other.fingerprint8}.parquet"
    )


def _common_schema(storage: Storage, paths: Sequence[str]) -> pa.Schema:
    """Unify the schemas of a few files: files of one topic and writer schema have the same columns.

    The earliest and the latest file of each such group are read, because a later finkray may
    have added a column.
    """
    first: dict[tuple[str, str | None] | str, str] = {}
    last: dict[tuple[str, str | None] | str, str] = {}
    for path in paths:
        known = parse_path(path)
        group = path if known is None else (known.topic, known.fingerprint8)
        first.setdefault(group, path)
        last[group] = path
    chosen = dict.fromkeys([*first.values(), *last.values()])
    return unify({path: _schema(storage, path) for path in chosen})


def _schema(storage: Storage, path: str) -> pa.Schema:
    with storage.filesystem.open_input_file(path) as file:
        return pq.read_schema(file)


def _condition(span: Span, hours: Iterable[datetime]) -> pc.Expression | None:
    """Return the filter for rows of hours that an end of the span cuts; None if it cuts none."""
    stamp = pc.field("kafka_timestamp")
    condition = None
    for hour in hours:
        for bound, inside in (
            (span.start, stamp >= pa.scalar(span.start, _STAMP)),
            (span.end, stamp < pa.scalar(span.end, _STAMP)),
        ):
            if bound is not None and hour < bound < hour + HOUR:
                in_span = ~_is_hour(hour) | inside
                condition = in_span if condition is None else condition & in_span
    return condition


def _is_hour(hour: datetime) -> pc.Expression:
    same = [pc.field(key) == getattr(hour, key) for key in _HOUR_KEYS]
    return same[0] & same[1] & same[2] & same[3]
