"""Record each message of a play, to compare an archive with it message by message.

FOLDER/run.json                the settings of the play, and how it ended
FOLDER/messages/<n>.parquet    each message that Kafka has acknowledged, `MESSAGES`
FOLDER/objects/<n>.parquet     the truth about each object, when it first appears, `OBJECTS`

`finkray simulator check` may read it while it is written: each file is there whole or not at all.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from finkray.errors import SettingsError
from finkray.whole_file import whole_file
from sim.player.sender import Sent
from sim.sky.kinds import STRANGE_KINDS, Kind

MESSAGES: Final = pa.schema(
    [
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("create_ms", pa.int64()),
        ("trouble", pa.string()),
        ("aborted", pa.bool_()),
        ("reasons", pa.list_(pa.string())),
        ("candid", pa.int64()),
        ("object_id", pa.string()),
        ("visit", pa.int64()),
        ("schema_version", pa.string()),
        ("size_bytes", pa.int64()),
        ("sha256", pa.string()),
    ]
)
"""`trouble` is empty for a good message; `reasons` are the dead-letter reasons that are correct for
it, none if it must be archived; `sha256` is null for a message without a value."""

OBJECTS: Final = pa.schema(
    [
        ("object_id", pa.string()),
        ("kind", pa.string()),
        ("source", pa.string()),
        ("ra_deg", pa.float64()),
        ("dec_deg", pa.float64()),
        ("period_days", pa.float64()),
        ("event_jd", pa.float64()),
        ("strange_in", pa.string()),
        ("first_candid", pa.int64()),
        ("first_jd", pa.float64()),
    ]
)
"""Columns as in `sim.maker.MadeAlert`; `strange_in` says where a strange kind can be seen,
`packet` or `curve`, and is null for other kinds."""

_ROWS_TO_A_FILE = 20_000
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class PlayedTopic:
    """The topic of a play. A topic that was deleted and created again has another id."""

    cluster_id: str
    topic: str
    topic_id: str


class ManifestWriter:
    """Writes a manifest to a folder that is empty or does not exist.

    Parameters
    ----------
    folder
        The folder of the manifest.
    where
        The topic of the messages.
    asked
        The settings of the play, as values that JSON has.

    Raises
    ------
    SettingsError
        The folder is not empty.
    """

    def __init__(self, folder: Path, where: PlayedTopic, asked: Mapping[str, Any]) -> None:
        refuse_used(folder)
        self._folder = folder
        self._run: dict[str, Any] = {
            "format": _FORMAT,
            "cluster_id": where.cluster_id,
            "topic": where.topic,
            "topic_id": where.topic_id,
            "began_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "ended_at": None,
            "asked": dict(asked),
        }
        self._messages = _TableFiles(folder / "messages", MESSAGES)
        self._objects = _TableFiles(folder / "objects", OBJECTS)
        self._seen: set[str] = set()
        self._write_run()

    def __enter__(self) -> "ManifestWriter":
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._messages.flush()
        self._objects.flush()
        self._run["ended_at"] = datetime.now(UTC).isoformat(timespec="seconds")
        self._write_run()

    def add(self, sent: Sent) -> None:
        """Add a message."""
        packet, alert = sent.packet, sent.packet.alert
        self._messages.add(
            {
                "partition": sent.partition,
                "offset": sent.offset,
                "create_ms": sent.create_ms,
                "trouble": packet.trouble,
                "aborted": sent.aborted,
                "reasons": list(packet.reasons),
                "candid": packet.candid,
                "object_id": packet.object_id,
                "visit": packet.visit,
                "schema_version": alert.schema_version if alert else None,
                "size_bytes": len(packet.data or b""),
                "sha256": None if packet.data is None else hashlib.sha256(packet.data).hexdigest(),
            }
        )
        if alert is not None and alert.object_id not in self._seen:
            self._seen.add(alert.object_id)
            self._objects.add(
                {
                    "object_id": alert.object_id,
                    "kind": str(alert.kind),
                    "source": alert.source,
                    "ra_deg": alert.ra_deg,
                    "dec_deg": alert.dec_deg,
                    "period_days": alert.period_days,
                    "event_jd": alert.event_jd,
                    "strange_in": _strange_in(alert.kind),
                    "first_candid": alert.candid,
                    "first_jd": alert.jd,
                }
            )

    def _write_run(self) -> None:
        with whole_file(self._folder / "run.json") as file:
            file.write(f"{json.dumps(self._run, indent=2)}\n".encode())


def _strange_in(kind: Kind) -> str | None:
    visible = STRANGE_KINDS.get(kind)
    return None if visible is None else str(visible)


@dataclass
class _TableFiles:
    """Rows of a table, written as a sequence of complete files."""

    folder: Path
    schema: pa.Schema
    rows: list[dict[str, Any]] = field(default_factory=list)
    written: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        if len(self.rows) >= _ROWS_TO_A_FILE:
            self.flush()

    def flush(self) -> None:
        table = pa.Table.from_pylist(self.rows, self.schema)
        with whole_file(self.folder / f"{self.written:06d}.parquet") as sink:
            pq.write_table(table, sink, compression="zstd")
        self.written += 1
        self.rows.clear()


def refuse_used(folder: Path) -> None:
    """Refuse a folder that is not empty: two plays in it could not be told apart.

    Raises
    ------
    SettingsError
        The folder is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise SettingsError(f"{folder} is not empty: each play needs a folder of its own")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that was read; `ended` is False for a play that still runs or was killed."""

    where: PlayedTopic
    messages: pa.Table
    ended: bool


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a play.

    Raises
    ------
    SettingsError
        There is no manifest.
    """
    try:
        run = json.loads((folder / "run.json").read_text("utf-8"))
        where = PlayedTopic(run["cluster_id"], run["topic"], run["topic_id"])
    except FileNotFoundError:
        raise SettingsError(f"no manifest of a simulator in {folder}: it has no run.json") from None
    except (OSError, ValueError, KeyError) as error:
        raise SettingsError(f"no manifest of a simulator in {folder}: {error!r}") from error
    paths = sorted((folder / "messages").glob("*.parquet"))
    tables = [pq.read_table(path, schema=MESSAGES) for path in paths]
    messages = pa.concat_tables([MESSAGES.empty_table(), *tables])
    return Manifest(where, messages, run["ended_at"] is not None)


def read_objects(folder: Path) -> pa.Table:
    """Return the truth about the objects of a play."""
    return pads.dataset(folder / "objects", schema=OBJECTS, format="parquet").to_table()
