"""The report of an audit: the balance sheet, and everything that is wrong."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

from finkray.claim import Claim, TopicPartition
from finkray.status.archive import BalanceSheet

FileProblem = Literal["missing", "damaged", "stray", "named twice", "named in part"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OffsetRange(_Frozen):
    """Offsets of one partition, both ends included."""

    cluster_id: str
    topic: str
    topic_id: str
    partition: int
    first_offset: int
    last_offset: int

    @classmethod
    def of(cls, source: TopicPartition, first_offset: int, last_offset: int) -> "OffsetRange":
        """Return a range of a partition."""
        return cls(**source._asdict(), first_offset=first_offset, last_offset=last_offset)

    @property
    def claim(self) -> Claim:
        """The range as a claim."""
        source = TopicPartition(self.cluster_id, self.topic, self.topic_id, self.partition)
        return Claim(source, self.first_offset, self.last_offset)


class FileFinding(_Frozen):
    """A file that does not agree with the ledger.

    `missing`: the ledger names it, and it does not exist. `damaged`: it has another size.
    `stray`: it exists, and the ledger does not name it: readers that list files count its rows
    twice. `named twice`: two claims name it, and not as a file that they share. `named in part`:
    claims shared it, and some of them have their alerts in other files now, because it was missing
    for a while: readers that list files count these alerts twice.
    """

    path: str
    problem: FileProblem
    rows: int = Field(0, description="rows of it that count by the ledger; 0 for strays")
    dead_letters: bool = Field(default=False, description="whether the rows are dead letters")
    claim: OffsetRange | None = Field(None, description="the claim that names it; None for strays")


class PartitionAudit(_Frozen):
    """The balance of one partition, from its first archived offset on."""

    cluster_id: str
    topic: str
    topic_id: str
    partition: int
    start: int = Field(description="first offset that must be accounted for")
    end: int = Field(description="one past the last offset in the ledger")
    kafka_low: int | None = Field(description="first offset in Kafka; None: not compared")
    kafka_high: int | None = Field(description="one past the last offset in Kafka")
    archived: int
    dead_lettered: int
    expired: int
    not_delivered: int
    unreadable: int = 0
    deferred: int = Field(0, description="offsets left to the backfill, which is not there yet")
    waiting: int = Field(description="offsets that are not in the ledger yet, deferred ones too")
    received: int = Field(description="offsets that must be accounted for: all but deferred ones")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def difference(self) -> int:
        """Offsets that are not accounted for."""
        return BalanceSheet(
            received=self.received,
            archived=self.archived,
            dead_lettered=self.dead_lettered,
            expired=self.expired,
            not_delivered=self.not_delivered,
            unreadable=self.unreadable,
        ).difference


class DeepFinding(_Frozen):
    """What is wrong inside the files of a claim."""

    claim: OffsetRange
    path: str | None = Field(description="the file, None if it is all files of the claim together")
    problem: str
    offsets: int = Field(description="number of offsets concerned")


class DeepReport(_Frozen):
    """The result of opening files."""

    range: str
    claims: int
    files: int
    rows: int
    findings: tuple[DeepFinding, ...]


class AuditReport(_Frozen):
    """The balance sheet, as in `finkray.status.archive.BalanceSheet`.

    Rows of missing or damaged files do not count as archived.
    """

    format: int = 1
    at: datetime
    archive_uri: str
    epoch: int
    last_seq: int = Field(description="number of the last entry of the ledger that was looked at")
    compared_with_kafka: bool
    partitions: tuple[PartitionAudit, ...]
    checked_against_disk_alone: int = Field(
        description="offsets of the ledger that Kafka no longer holds, or was not queried about"
    )
    missing_ranges: tuple[OffsetRange, ...] = Field(description="offsets that no claim holds")
    beyond_kafka: tuple[OffsetRange, ...] = Field(
        description="offsets of the ledger that Kafka has not given out yet: it lost messages"
    )
    file_findings: tuple[FileFinding, ...]
    unpublished_files: int = Field(
        description="files of committed claims, still in staging: readers see them after the "
        "running archive's next step, or the next start"
    )
    deep: DeepReport | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def received(self) -> int:
        """Offsets that must be accounted for."""
        return sum(partition.received for partition in self.partitions)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def archived(self) -> int:
        """Alerts in existing files."""
        return sum(partition.archived for partition in self.partitions)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def dead_lettered(self) -> int:
        """Dead letters in existing files."""
        return sum(partition.dead_lettered for partition in self.partitions)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def expired(self) -> int:
        """Offsets that Kafka's retention deleted before they were read."""
        return sum(partition.expired for partition in self.partitions)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def not_delivered(self) -> int:
        """Offsets at which there never was a message to read."""
        return sum(partition.not_delivered for partition in self.partitions)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def unreadable(self) -> int:
        """Offsets of record batches that Kafka's client could not read."""
        return sum(partition.unreadable for partition in self.partitions)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def deferred(self) -> int:
        """Offsets that wait for a backfill; not a difference."""
        return sum(partition.deferred for partition in self.partitions)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def waiting(self) -> int:
        """Offsets in Kafka that are not in the ledger yet, deferred ones too; not a difference."""
        return sum(partition.waiting for partition in self.partitions)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def difference(self) -> int:
        """Offsets that are not accounted for."""
        return sum(partition.difference for partition in self.partitions)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def duplicates(self) -> int:
        """Findings in files that make readers see an alert twice."""
        twice = sum(find.problem not in ("missing", "damaged") for find in self.file_findings)
        inside = [] if self.deep is None else self.deep.findings
        return twice + sum(find.problem == TWICE for find in inside)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def balanced(self) -> bool:
        """Whether nothing is wrong."""
        return not (
            self.difference
            or self.missing_ranges
            or self.beyond_kafka
            or self.file_findings
            or (self.deep is not None and self.deep.findings)
        )

    @property
    def exit_code(self) -> int:
        """0 if all is balanced, else 1."""
        return 0 if self.balanced else 1

    def to_json(self) -> dict[str, Any]:
        """Return a plain dictionary."""
        return self.model_dump(mode="json")


TWICE = "offsets more than once"
"""The problem of a `DeepFinding` that is a duplicate."""


def missing_ranges(report: AuditReport) -> list[Claim]:
    """Return the offsets that no claim has, which must be read from Kafka again."""
    return [missing.claim for missing in report.missing_ranges]


def vanished_files(findings: Iterable[FileFinding]) -> dict[Claim, list[str]]:
    """Return the missing files that must be written again, by the claim to repair."""
    vanished: dict[Claim, list[str]] = {}
    for finding in findings:
        if finding.problem == "missing" and finding.claim is not None:
            vanished.setdefault(finding.claim.claim, []).append(finding.path)
    return vanished
