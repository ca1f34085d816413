"""The claim: the unit in which the archive reads offsets and accounts for them."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, NamedTuple

from finkray.intervals import Interval

GapKind = Literal["expired", "not_delivered", "unreadable"]


class TopicPartition(NamedTuple):
    """A partition of one incarnation of a topic on one Kafka cluster.

    `topic_id` is Kafka's own id of the topic: a topic that is deleted and created again has
    the same name, restarts its offsets, and has another id.
    """

    cluster_id: str
    topic: str
    topic_id: str
    partition: int


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """A contiguous range of offsets of one partition, both ends included."""

    source: TopicPartition
    first_offset: int
    last_offset: int

    def __post_init__(self) -> None:
        if not 0 <= self.first_offset <= self.last_offset:
            raise ValueError(f"a claim from {self.first_offset} to {self.last_offset}")

    @property
    def offsets(self) -> int:
        """Number of offsets of the claim."""
        return self.last_offset - self.first_offset + 1

    def __str__(self) -> str:
        source = self.source
        return f"{source.topic}[{source.partition}] {self.first_offset}-{self.last_offset}"


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """Offsets of a claim at which Kafka delivered no message, both ends included.

    `expired`: Kafka's retention had deleted them before they were read, a loss.
    `not_delivered`: transaction markers, aborted or compacted messages, which Kafka
    does not tell apart; nothing is lost.
    `unreadable`: record batches that Kafka's client could not read, because their checksum differed
    or they could not be decompressed; `finkray audit --redrive` reads them again.
    """

    kind: GapKind
    first_offset: int
    last_offset: int

    @property
    def offsets(self) -> int:
        """Number of offsets of the gap."""
        return self.last_offset - self.first_offset + 1


@dataclass(frozen=True, slots=True)
class DataFile:
    """The alerts (or dead letters) of one claim in a Parquet file.

    Most files have the alerts of one claim. Small claims of one commit may share a file: then each
    of them names the file, with its own `rows`, which begin at `first_row`; `file_rows` are the
    rows of all, and None if the file is not shared. Files of dead letters are never shared.

    `path` is relative to the archive's root, with forward slashes. The offsets are the first
    and last of these rows. `hour_utc` is ISO 8601, or None for dead letters. `size_bytes` and
    `crc32` are of the file, `crc32` the CRC-32 (of zlib) of its bytes; None in a ledger that is
    older than this key.
    """

    path: str
    rows: int
    size_bytes: int
    first_offset: int
    last_offset: int
    schema_fingerprint: str | None = None
    hour_utc: str | None = None
    crc32: int | None = None
    first_row: int = 0
    file_rows: int | None = None

    @property
    def is_shared(self) -> bool:
        """Whether several claims share the file."""
        return self.file_rows is not None

    @property
    def key(self) -> str:
        """The path, followed by the first row if the file is shared: no other claim has it."""
        return f"{self.path}{_ROW_MARK}{self.first_row}" if self.is_shared else self.path

    @property
    def whole(self) -> "DataFile":
        """The file with the rows of all its claims; the offsets stay those of this claim."""
        if self.file_rows is None:
            return self
        return replace(self, rows=self.file_rows, first_row=0, file_rows=None)

    def to_json(self) -> dict[str, Any]:
        """Return a plain dictionary, as it is in the ledger."""
        raw = asdict(self)
        if not self.is_shared:
            del raw["first_row"], raw["file_rows"]
        return raw

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "DataFile":
        """Parse what `to_json` returned; a compacted ledger has nulls for absent keys."""
        return cls(**raw | {"first_row": raw.get("first_row") or 0})


_ROW_MARK = "@"
"""Kafka allows letters, digits, ., _ and - in the names of topics: no path has this character."""


def path_of_key(key: str) -> tuple[str, int]:
    """Return path and first row of the `key` of a file."""
    path, _, first_row = key.partition(_ROW_MARK)
    return path, int(first_row or 0)


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """The outcome of a claim: each of its offsets is archived, dead-lettered or in a gap, once.

    `resolved` are offsets of dead letters that became alerts later: the letter is still in one
    of the dead-letter files, the alert in one of the files, and only the alert counts.
    `dead_letters_by_reason` counts the dead letters that are not resolved.
    """

    claim: Claim
    files: tuple[DataFile, ...] = ()
    dead_letter_files: tuple[DataFile, ...] = ()
    dead_letters_by_reason: tuple[tuple[str, int], ...] = ()
    gaps: tuple[Gap, ...] = ()
    resolved: tuple[Interval, ...] = ()

    @property
    def all_files(self) -> tuple[DataFile, ...]:
        """Files of alerts, then those of dead letters."""
        return (*self.files, *self.dead_letter_files)

    @property
    def paths(self) -> set[str]:
        """The paths of all files."""
        return {file.path for file in self.all_files}

    @property
    def archived(self) -> int:
        """Rows in data files."""
        return sum(file.rows for file in self.files)

    @property
    def dead_lettered(self) -> int:
        """Rows in dead-letter files that are not resolved."""
        letters = sum(file.rows for file in self.dead_letter_files)
        return letters - sum(span.size for span in self.resolved)

    @property
    def in_gaps(self) -> int:
        """Offsets at which there was no message."""
        return sum(gap.offsets for gap in self.gaps)

    def in_gaps_of(self, kind: GapKind) -> int:
        """Return the number of offsets in gaps of that kind."""
        return sum(gap.offsets for gap in self.gaps if gap.kind == kind)

    @property
    def balanced(self) -> bool:
        """Whether every offset of the claim is accounted for."""
        return self.archived + self.dead_lettered + self.in_gaps == self.claim.offsets

    def to_json(self) -> dict[str, Any]:
        """Return a plain dictionary, as it is in the ledger."""
        return {
            **self.claim.source._asdict(),
            "first_offset": self.claim.first_offset,
            "last_offset": self.claim.last_offset,
            "files": [file.to_json() for file in self.files],
            "dead_letter_files": [file.to_json() for file in self.dead_letter_files],
            "dead_letters_by_reason": dict(self.dead_letters_by_reason),
            "gaps": [asdict(gap) for gap in self.gaps],
            "resolved": [
                {"first_offset": span.first, "last_offset": span.last} for span in self.resolved
            ],
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "ClaimResult":
        """Parse what `to_json` returned."""
        source = TopicPartition(raw["cluster_id"], raw["topic"], raw["topic_id"], raw["partition"])
        return cls(
            claim=Claim(source, raw["first_offset"], raw["last_offset"]),
            files=tuple(map(DataFile.from_json, raw["files"])),
            dead_letter_files=tuple(map(DataFile.from_json, raw["dead_letter_files"])),
            dead_letters_by_reason=tuple(sorted(raw["dead_letters_by_reason"].items())),
            gaps=tuple(Gap(**gap) for gap in raw["gaps"]),
            # Absent in a ledger that is older than the first resolved dead letter.
            resolved=tuple(
                Interval(span["first_offset"], span["last_offset"])
                for span in raw.get("resolved") or ()
            ),
        )


@dataclass(frozen=True, slots=True)
class StagedClaim:
    """A claim whose files are durable in staging.

    Attributes
    ----------
    result
        the claim's result, with the files' final paths
    staged
        for each final path the path in staging; both relative to the archive's root
    """

    result: ClaimResult
    staged: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a plain dictionary."""
        return {"result": self.result.to_json(), "staged": self.staged}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "StagedClaim":
        """Parse what `to_json` returned."""
        return cls(ClaimResult.from_json(raw["result"]), dict(raw["staged"]))
