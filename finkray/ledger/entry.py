"""One entry of the ledger: its content, and its format as JSON.

An entry is a JSON file ``ledger/log/<seq, 20 digits>.json`` of format 1, or of format 2 if claims
of it share files, which readers of format 1 would take for files that are named twice::

    {"format": 1, "seq": 7, "epoch": 2, "kind": "committed", "at": "2026-11-24T01:02:03.456789Z",
     "writer": "9f…", "published_through": 6, "claims": [{…}, …],
     "superseded": [], "staged": {"alerts/topic=…/x.parquet": "staging/00000002/….parquet"},
     "remade": [], "starts": [], "holder": null, "archive_id": "5e…",
     "crc32": 1234567}

`kind` is one of

- ``opened``: the archive that `holder` describes took the ledger over and began this epoch
- ``started``: partitions are archived from the offsets in `starts` on; a partition that is known
  gets a live lane there, beyond its end, and the offsets between are left to a backfill
- ``committed``: `claims` were archived
- ``repaired``: `claims` replace `superseded`, the same claims before a repair; the repair wrote the
  files `remade` again
- ``resolved``: `claims` replace `superseded`, the same claims before some of their dead letters
  became alerts; `remade` are the files with these alerts

`claims` are as `ClaimResult.to_json` returns them. `staged` maps the final path of each new file
to its path in staging; the files of all entries up to `published_through` are published.
`writer` is a random token of one run of an archive, `archive_id` the identity of the archive
(`finkray.ledger.identity`); entries that are older than this key lack it.
`crc32` is the CRC-32 of the line up to ``,"crc32":``; entries that are older than this key lack it.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from finkray.claim import ClaimResult, TopicPartition
from finkray.errors import LedgerCorrupt

FORMAT = 1
FORMAT_WITH_SHARED_FILES = 2
LOG_FOLDER = "ledger/log"

RESTORE = (
    "restore it from a copy of the archive; without a copy, `finkray ledger rebuild` makes a "
    "ledger of what is readable and of the files"
)
"""The advice of error messages when a file of the ledger is damaged or missing."""

_CRC32_KEY = b',"crc32":'

Kind = Literal["opened", "started", "committed", "repaired", "resolved"]
ClaimKind = Literal["committed", "repaired", "resolved"]
"""Kinds that hold claims."""

REVISIONS = ("repaired", "resolved")
"""Kinds whose claims replace earlier versions of the same claims."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry; the module documents the fields."""

    seq: int
    epoch: int
    kind: Kind
    at: datetime
    writer: str
    published_through: int
    claims: tuple[ClaimResult, ...] = ()
    superseded: tuple[ClaimResult, ...] = ()
    staged: Mapping[str, str] = field(default_factory=dict)
    remade: tuple[str, ...] = ()
    starts: tuple[tuple[TopicPartition, int], ...] = ()
    holder: Mapping[str, Any] | None = None
    archive_id: str | None = None

    @property
    def path(self) -> str:
        """Path of the entry."""
        return log_path(self.seq)

    @property
    def _format(self) -> int:
        results = (*self.claims, *self.superseded)
        shared = any(file.is_shared for result in results for file in result.files)
        return FORMAT_WITH_SHARED_FILES if shared else FORMAT

    def to_bytes(self) -> bytes:
        """Return the content of the file: one line of JSON, the same bytes each time."""
        raw = {
            "format": self._format,
            "seq": self.seq,
            "epoch": self.epoch,
            "kind": self.kind,
            "at": self.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "writer": self.writer,
            "published_through": self.published_through,
            "claims": [claim.to_json() for claim in self.claims],
            "superseded": [claim.to_json() for claim in self.superseded],
            "staged": dict(self.staged),
            "remade": list(self.remade),
            "starts": [{**source._asdict(), "offset": offset} for source, offset in self.starts],
            "holder": None if self.holder is None else dict(self.holder),
            "archive_id": self.archive_id,
        }
        line = json.dumps(raw, separators=(",", ":")).encode().removesuffix(b"}")
        return line + _CRC32_KEY + b"%d}\n" % zlib.crc32(line)

    @classmethod
    def from_bytes(cls, data: bytes, seq: int) -> "Entry":
        """Parse what `to_bytes` returned.

        Parameters
        ----------
        data
            the file
        seq
            the number in its name

        Raises
        ------
        LedgerCorrupt
            if the file is not an entry, is damaged, is of a later format, or its number is not
            that of its name
        """
        where = log_path(seq)
        try:
            raw = json.loads(data)
            if raw["format"] not in (FORMAT, FORMAT_WITH_SHARED_FILES):
                raise LedgerCorrupt(
                    f"{where} is of format {raw['format']}, this finkray reads format {FORMAT} and "
                    f"{FORMAT_WITH_SHARED_FILES}: use the version that wrote it, or a later one"
                )
            if "crc32" in raw and zlib.crc32(data.rpartition(_CRC32_KEY)[0]) != raw["crc32"]:
                raise LedgerCorrupt(
                    f"{where} is damaged, its content differs from its checksum: {RESTORE}"
                )
            entry = cls(
                seq=raw["seq"],
                epoch=raw["epoch"],
                kind=raw["kind"],
                at=datetime.fromisoformat(raw["at"]),
                writer=raw["writer"],
                published_through=raw["published_through"],
                claims=tuple(map(ClaimResult.from_json, raw["claims"])),
                superseded=tuple(map(ClaimResult.from_json, raw["superseded"])),
                staged=raw["staged"],
                remade=tuple(raw["remade"]),
                starts=tuple(map(_start, raw["starts"])),
                holder=raw["holder"],
                archive_id=raw.get("archive_id"),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LedgerCorrupt(
                f"{where} is not an entry of a ledger ({type(error).__name__}: {error}): {RESTORE}"
            ) from error
        if entry.seq != seq or entry.kind not in get_args(Kind):
            raise LedgerCorrupt(
                f"{where} contains number {entry.seq}, kind {entry.kind!r}: {RESTORE}"
            )
        return entry


def log_path(seq: int) -> str:
    """Return the path of an entry."""
    return f"{LOG_FOLDER}/{seq:020d}.json"


def seq_of(path: str) -> int | None:
    """Return the number in the path of an entry; None if the path is not that of an entry."""
    name = path.rpartition("/")[2]
    stem, dot, suffix = name.partition(".")
    return int(stem) if dot and suffix == "json" and stem.isdigit() and len(stem) == 20 else None


def _start(raw: dict[str, Any]) -> tuple[TopicPartition, int]:
    source = TopicPartition(raw["cluster_id"], raw["topic"], raw["topic_id"], raw["partition"])
    return source, raw["offset"]
