"""Read files that no claim names: which partition they belong to, and which offsets they have."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from finkray.claim import DataFile, TopicPartition
from finkray.errors import StorageError
from finkray.ledger.file_claims import FoundFile, LeftOut
from finkray.storage.contract import Storage, StoredFile
from finkray.storage.layout import (
    ALERTS_FOLDER,
    DEAD_LETTERS_FOLDER,
    ArchivePath,
    parse_path,
    topic_id8,
)
from finkray.storage.parquet import crc32_of, read_every_column

_FILES_AT_A_TIME = 100

_COLUMNS = ("kafka_topic", "kafka_partition", "kafka_offset")
_LETTER_COLUMNS = ("reason", "cluster_id", "topic_id")
_ALERT_COLUMNS = ("schema_fingerprint",)


class KafkaTopics(Protocol):
    """What a rebuild asks Kafka; `finkray.kafka.cluster.KafkaCluster` implements it."""

    def partitions(self, wants: Callable[[str], bool]) -> list[TopicPartition]:
        """Return all partitions of the topics whose names are wanted."""

    def cluster_id(self) -> str:
        """Return the id of the cluster."""


@dataclass(slots=True)
class UnnamedFiles:
    """Files that no claim names.

    Attributes
    ----------
    by_partition
        the files of each partition
    left_out
        files whose content is not that of a file of the archive
    short_topic_ids
        topics that neither the ledger nor Kafka knows: the first 8 characters of their ids, which
        the names of files have, stand for the whole id
    """

    by_partition: dict[TopicPartition, list[FoundFile]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    short_topic_ids: set[str] = field(default_factory=set)


def read_unnamed_files(
    storage: Storage,
    named: Collection[str],
    known: Iterable[TopicPartition],
    kafka: KafkaTopics,
    tell: Callable[[str], None],
) -> UnnamedFiles:
    """Read all files of alerts and dead letters except those that are named.

    Parameters
    ----------
    storage
        of the archive
    named
        paths of the files of claims
    known
        partitions that the ledger knows
    kafka
        knows the ids of topics, which the names of files have in part
    tell
        receives how far it is, as text

    Raises
    ------
    KafkaUnavailable
        if no broker answers
    StorageError
        if the storage refuses
    """
    unnamed = UnnamedFiles()
    groups: dict[tuple[str, str, int], list[FoundFile]] = defaultdict(list)
    sources = set(known)
    for done, (path, stored) in enumerate(_paths(storage, named), start=1):
        try:
            for partition, found in _read(storage, stored, path, sources):
                groups[path.topic, path.topic_id8, partition].append(found)
        except (pa.ArrowException, ValueError, KeyError) as error:
            unnamed.left_out.append(LeftOut(stored.path, f"it cannot be read: {error}"))
        except OSError as error:
            # Arrow reports a page that does not unpack as an error without a number.
            if error.errno is not None:
                raise StorageError(f"cannot read {stored.path}: {error}") from error
            unnamed.left_out.append(LeftOut(stored.path, f"it cannot be read: {error}"))
        if done % _FILES_AT_A_TIME == 0:
            tell(f"{done} files read that no claim names")
    _find_topics(unnamed, groups, sources, kafka)
    return unnamed


def _find_topics(
    unnamed: UnnamedFiles,
    groups: Mapping[tuple[str, str, int], list[FoundFile]],
    sources: set[TopicPartition],
    kafka: KafkaTopics,
) -> None:
    """Add the files, which are grouped by what their names say, to the partitions they are of."""
    if groups:
        topics = {topic for topic, _, _ in groups}
        sources |= set(kafka.partitions(lambda name: name in topics))
    for (topic, id8, partition), files in sorted(groups.items()):
        ids = {
            (source.cluster_id, source.topic_id)
            for source in sources
            if source.topic == topic and topic_id8(source.topic_id) == id8
        }
        if not ids:
            ids = {(kafka.cluster_id(), id8)}
            unnamed.short_topic_ids.add(topic)
        if len(ids) > 1:
            why = f"its topic may be one of several: {sorted(ids)}"
            unnamed.left_out += [
                LeftOut(found.file.path, why) for found in files if found.file.first_row == 0
            ]
            continue
        ((cluster_id, topic_id),) = ids
        source = TopicPartition(cluster_id, topic, topic_id, partition)
        unnamed.by_partition[source] = files


def _paths(storage: Storage, named: Collection[str]) -> Iterable[tuple[ArchivePath, StoredFile]]:
    """Yield the files that are not named; other programs' files are none of the archive's."""
    for folder in (ALERTS_FOLDER, DEAD_LETTERS_FOLDER):
        for stored in storage.walk(folder):
            path = parse_path(stored.path)
            if path is not None and stored.path not in named:
                yield path, stored


def _read(
    storage: Storage, stored: StoredFile, path: ArchivePath, sources: set[TopicPartition]
) -> list[tuple[int, FoundFile]]:
    """Read a file; return its rows by partition. Add what dead letters name to the sources.

    Raises
    ------
    ValueError
        if its rows are not those that its path promises
    """
    has_letters = path.fingerprint8 is None
    columns = [*_COLUMNS, *(_LETTER_COLUMNS if has_letters else _ALERT_COLUMNS)]
    with storage.open(stored.path) as source:
        parquet = pq.ParquetFile(source)
        table = parquet.read(columns=columns)
        # With a checksum an audit no longer reads every column, so they are read once, here.
        read_every_column(parquet)
        source.seek(0)
        crc32 = crc32_of(source)
    rows = {(row["kafka_topic"], row["kafka_partition"]) for row in _distinct(table, _COLUMNS[:2])}
    if {topic for topic, _ in rows} != {path.topic} or (
        path.others == 0 and rows != {(path.topic, path.partition)}
    ):
        raise ValueError("it has no rows, or those of another topic or partition")
    offsets = table["kafka_offset"].to_numpy().astype(np.int64)
    partitions = table["kafka_partition"].to_numpy()
    fingerprint = None
    if has_letters:
        for row in _distinct(table, _LETTER_COLUMNS[1:]):
            sources.add(
                TopicPartition(row["cluster_id"], path.topic, row["topic_id"], path.partition)
            )
    else:
        fingerprints = table["schema_fingerprint"].unique().to_pylist()
        if len(fingerprints) != 1 or not str(fingerprints[0]).startswith(str(path.fingerprint8)):
            raise ValueError("its rows are of another schema than its name says")
        fingerprint = fingerprints[0]
    # Claims that share a file lie in it one after the other, in order of partition and offset.
    begins = [0, *(np.flatnonzero(np.diff(partitions)) + 1).tolist()]
    ends = [*begins[1:], table.num_rows]
    if len(begins) > len(rows):
        raise ValueError("the rows of its partitions are mixed")
    reasons = table["reason"].to_pylist() if has_letters else ()
    return [
        (
            int(partitions[first]),
            FoundFile(
                DataFile(
                    path=stored.path,
                    rows=end - first,
                    size_bytes=stored.size_bytes,
                    first_offset=int(offsets[first:end].min()),
                    last_offset=int(offsets[first:end].max()),
                    schema_fingerprint=fingerprint,
                    hour_utc=None if has_letters else path.hour_utc.isoformat(),
                    # Whether these bytes are those that were written is not known; what changes
                    # later is.
                    crc32=crc32,
                    first_row=first,
                    file_rows=table.num_rows if len(begins) > 1 else None,
                ),
                offsets[first:end],
                reasons,
            ),
        )
        for first, end in zip(begins, ends, strict=True)
    ]


def _distinct(table: pa.Table, columns: Iterable[str]) -> list[dict[str, Any]]:
    names = list(columns)
    rows: list[dict[str, Any]] = table.group_by(names).aggregate([]).to_pylist()
    return rows
