"""Compare Kafka with the ledger, and the ledger with the files that exist."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

from finkray.audit.deep import chooser, look_into
from finkray.audit.files import CLAIM_COLUMNS, FILE_COLUMNS, FileComparison, NamedFiles
from finkray.audit.report import AuditReport, FileFinding, OffsetRange, PartitionAudit
from finkray.claim import TopicPartition
from finkray.ledger.claims import COLUMNS, claim_tables
from finkray.ledger.read import LedgerReading, read_entries, read_state
from finkray.ledger.state import LedgerState, PartitionState
from finkray.storage.contract import Storage
from finkray.storage.layout import ALERTS_FOLDER, DEAD_LETTERS_FOLDER


class KafkaRange(Protocol):
    """The offsets that Kafka holds of a partition: `low` is the first, `high` one past the last."""

    @property
    def low(self) -> int:
        """First offset."""

    @property
    def high(self) -> int:
        """One past the last offset."""


class KafkaView(Protocol):
    """What the audit needs of Kafka; `finkray.kafka.cluster.KafkaCluster` implements it."""

    def partitions(self, wants: Callable[[str], bool]) -> list[TopicPartition]:
        """Return all partitions of the topics whose names are wanted."""

    def watermarks(self, topic: str, partition: int) -> KafkaRange:
        """Return the offsets that Kafka holds of a partition."""


def audit(
    storage: Storage,
    kafka: KafkaView | None = None,
    *,
    wants: Callable[[str], bool] | None = None,
    deep: str | None = None,
) -> AuditReport:
    """Check that every offset is accounted for once, also while an archive runs.

    1. read the ledger up to its last entry
    2. list the existing files, and the entries committed since
    3. query Kafka, which is ahead of what was read of the ledger
    4. compare; open files if `deep` is given

    Parameters
    ----------
    storage
        of the archive
    kafka
        to compare with; None compares the ledger with the files only
    wants
        tells which topics are to be archived, besides those in the ledger
    deep
        a range of claims whose files are opened: see `finkray.audit.deep.GRAMMAR`

    Raises
    ------
    LedgerCorrupt
        if the ledger is not valid: an entry is missing, or offsets are claimed twice
    KafkaUnavailable
        if no broker answers
    ValueError
        if `deep` is no range
    """
    if deep is not None:
        chooser(deep)
    reading = read_state(storage)
    files = _files(storage, reading)
    ranges = None if kafka is None else _ranges(kafka, reading.state, wants)
    report = balance(ranges, reading.state, files, storage.uri, datetime.now(UTC))
    if deep is None:
        return report
    claims = claim_tables(storage, COLUMNS, reading.state.last_seq)
    return report.model_copy(update={"deep": look_into(storage, claims, deep)})


def balance(
    kafka: Mapping[TopicPartition, KafkaRange] | None,
    state: LedgerState,
    files: FileComparison,
    archive_uri: str,
    at: datetime,
) -> AuditReport:
    """Make the balance sheet. Pure.

    Parameters
    ----------
    kafka
        the offsets of each partition in Kafka; None if Kafka was not queried
    state
        of the ledger, read before Kafka was queried
    files
        the comparison of files and ledger
    archive_uri, at
        of the report
    """
    in_kafka = kafka or {}
    gone = files.gone()
    partitions = []
    missing = []
    beyond = []
    disk_alone = 0
    for source in sorted({*state.partitions, *in_kafka}):
        known = state.partitions.get(source)
        marks = in_kafka.get(source)
        partitions.append(_partition(source, known, marks, gone.get(source, (0, 0))))
        if known is None:
            continue
        missing += [OffsetRange.of(source, hole.first, hole.last) for hole in known.missing]
        disk_alone += known.received(None if marks is None else marks.low)
        if marks is not None:
            first_beyond = max(marks.high, known.start)
            if known.end > first_beyond:
                beyond.append(OffsetRange.of(source, first_beyond, known.end - 1))
    return AuditReport(
        at=at,
        archive_uri=archive_uri,
        epoch=state.epoch,
        last_seq=state.last_seq,
        compared_with_kafka=kafka is not None,
        partitions=tuple(partitions),
        checked_against_disk_alone=disk_alone,
        missing_ranges=tuple(missing),
        beyond_kafka=tuple(beyond),
        file_findings=files.findings,
        unpublished_files=files.unpublished,
    )


def _partition(
    source: TopicPartition,
    known: PartitionState | None,
    marks: KafkaRange | None,
    gone: tuple[int, int],
) -> PartitionAudit:
    if known is None:
        # In Kafka and not in the ledger: all of it waits.
        known = PartitionState(starts={0 if marks is None else marks.low})
    deferred = sum(hole.size for hole in known.deferred)
    return PartitionAudit(
        **source._asdict(),
        start=known.start,
        end=known.end,
        received=known.received(),
        kafka_low=None if marks is None else marks.low,
        kafka_high=None if marks is None else marks.high,
        archived=known.totals.archived - gone[0],
        dead_lettered=known.totals.dead_lettered - gone[1],
        expired=known.totals.expired,
        not_delivered=known.totals.not_delivered,
        unreadable=known.totals.unreadable,
        deferred=deferred,
        waiting=deferred + (0 if marks is None else max(0, marks.high - known.live_from)),
    )


def _files(storage: Storage, reading: LedgerReading) -> FileComparison:
    last_seq = reading.state.last_seq
    named = NamedFiles(claim_tables(storage, FILE_COLUMNS, last_seq))
    strays = set(
        named.look_for(
            file for folder in (ALERTS_FOLDER, DEAD_LETTERS_FOLDER) for file in storage.walk(folder)
        )
    )
    since = {path for entry in read_entries(storage, last_seq) for path in entry.staged}
    staged = {final: at for files in reading.unpublished.values() for final, at in files.items()}
    findings: list[FileFinding] = []
    unpublished = 0
    wrong = named.findings(
        claim_tables(storage, CLAIM_COLUMNS, last_seq) if named.any_wrong else ()
    )
    for finding in wrong:
        if finding.problem == "missing" and finding.path in staged:
            if storage.size_bytes(staged[finding.path]) is not None:
                unpublished += 1
                continue
            # Published between the two checks.
            if storage.size_bytes(finding.path) is not None:
                continue
        findings.append(finding)
    findings += [FileFinding(path=path, problem="stray") for path in sorted(strays - since)]
    return FileComparison(tuple(findings), unpublished)


def _ranges(
    kafka: KafkaView, state: LedgerState, wants: Callable[[str], bool] | None
) -> dict[TopicPartition, KafkaRange]:
    known = {source.topic for source in state.partitions}
    partitions = kafka.partitions(
        lambda topic: topic in known or (wants is not None and wants(topic))
    )
    return {source: kafka.watermarks(source.topic, source.partition) for source in partitions}
