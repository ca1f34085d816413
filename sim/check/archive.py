"""Read what an archive has of a topic, and compare it with what was played."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from finkray.dead_letters.search import DeadLetters, Selection
from finkray.storage.contract import Storage
from finkray.storage.layout import ALERTS_FOLDER, parse_path, topic_id8
from sim.check.compare import ARCHIVED, DEAD, Comparison, compare
from sim.player.manifest import PlayedTopic, read_manifest

_NUMBERS = ("candid", "diaSourceId")
_POSITION = ("kafka_partition", "kafka_offset")


def check(manifest: Path, archive: Storage) -> Comparison:
    """Compare a play with the files of an archive and its dead letters.

    Parameters
    ----------
    manifest
        The folder that the simulator wrote.
    archive
        The archive.

    Raises
    ------
    SettingsError
        There is no manifest.
    """
    played = read_manifest(manifest)
    alerts, letters = _alerts(archive, played.where), _dead_letters(archive, played.where)
    return replace(compare(played.messages, alerts, letters), ended=played.ended)


def _alerts(storage: Storage, where: PlayedTopic) -> pa.Table:
    tables = [ARCHIVED.empty_table()]
    for path in _paths(storage, where):
        with storage.open(path) as file:
            parquet = pq.ParquetFile(file)
            numbers = [name for name in parquet.schema_arrow.names if name in _NUMBERS]
            table = parquet.read(columns=[*_POSITION, *numbers])
        number = table[numbers[0]] if numbers else pa.nulls(len(table), pa.int64())
        columns = [*(table[name] for name in _POSITION), number]
        tables.append(pa.table(columns, names=ARCHIVED.names).cast(ARCHIVED))
    return pa.concat_tables(tables)


def _dead_letters(storage: Storage, where: PlayedTopic) -> pa.Table:
    """Return the dead letters that are unresolved: redriven messages are among the alerts."""
    rows = []
    wanted = Selection(topics=frozenset([where.topic]))
    for letters in DeadLetters(storage).letters(wanted):
        source = letters.result.claim.source
        if (source.cluster_id, source.topic_id) == (where.cluster_id, where.topic_id):
            rows += [
                {
                    "partition": row["kafka_partition"],
                    "offset": row["kafka_offset"],
                    "reason": row["reason"],
                    "size_bytes": row["size_bytes"],
                    "sha256": _sha256(row["value"], row["size_bytes"]),
                }
                for row in letters.table.to_pylist()
            ]
    return pa.Table.from_pylist(rows, DEAD)


def _sha256(value: bytes | None, size_bytes: int) -> str | None:
    whole = value is not None and len(value) == size_bytes
    return hashlib.sha256(value).hexdigest() if whole and value is not None else None


def _paths(storage: Storage, where: PlayedTopic) -> Iterator[str]:
    """Yield the files of this incarnation of the topic, not of another one with the same name."""
    for file in storage.walk(ALERTS_FOLDER):
        path = parse_path(file.path)
        if path is not None and (path.topic, path.topic_id8) == (
            where.topic,
            topic_id8(where.topic_id),
        ):
            yield file.path
