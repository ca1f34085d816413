"""Keep the alerts of a table readable as one: refuse schemas that conflict with earlier ones.

A table is what readers open as one: the topics of a survey, or any one other topic. The schemas
that made up its columns are entries of a folder, in the order in which they came:

    schemas/tables/survey=ztf/000000.json    {"fingerprint": "9f…", "topic": "ztf_20261124"}

A schema that adds no column has no entry. One that adds columns has its entry before any of its
alerts leaves the process that decoded them, and an entry is created exclusively. So of two ingest
actors that meet two conflicting schemas at once, the storage lets one create the next entry, and
the other reads it and decides again. An entry is never changed: a schema that is accepted once
is accepted after a restart and by a redrive, and one that is refused remains refused, because a
table only grows.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from finkray.avro.schema import WriterSchema
from finkray.errors import LedgerCorrupt, SchemaError, StorageError
from finkray.packets.columns import archived_columns
from finkray.packets.table_columns import ColumnConflict, column_count, united
from finkray.settings.packets import PacketSettings
from finkray.storage.contract import Storage
from finkray.storage.layout import TABLES_FOLDER, table_folder, table_schema_path
from finkray.storage.schemas import keep_schema, read_schema

MAX_TABLE_COLUMNS: Final = 20_000
"""The most columns of a table. All versions of ZTF's alerts together have 220, of LSST's 1800. A
sender who makes up new columns must not make a table that no reader can open."""

ATTEMPTS: Final = 100
"""How often a schema is compared again after another process created an entry."""

_MAX_REMEMBERED = 4096
"""How many decisions are remembered in memory."""

_COMPLETE = f"{TABLES_FOLDER}/complete.json"
"""The file with the setting `packets.surveys` for which `TableSchemas.complete` has entered the
schemas of all archived alerts. If the setting differs, topics belong to other tables, and the
schemas are entered again."""


@dataclass(slots=True)
class _Table:
    """A table: its schemas by their fingerprint, the columns of all of them, the entries read."""

    schemas: dict[str, pa.Schema] = field(default_factory=dict)
    columns: pa.Schema = field(default_factory=lambda: pa.schema([]))
    entries: set[str] = field(default_factory=set)
    next_number: int = 0


class TableSchemas:
    """Decides whether a schema fits the table of its topic. Not thread-safe.

    Parameters
    ----------
    storage
        of the archive
    packets
        the settings, which say of which survey a topic is
    accepts
        False: accept no new schema into a table, only say what would be refused
    before_entry
        called before an entry is created; raises `StorageError` if the archive's folder is gone
    """

    def __init__(
        self,
        storage: Storage,
        packets: PacketSettings,
        *,
        accepts: bool = True,
        before_entry: Callable[[], None] = lambda: None,
    ) -> None:
        self._storage = storage
        self._packets = packets
        self._accepts = accepts
        self._before_entry = before_entry
        self._tables: dict[str, _Table] = {}
        self._decided: dict[tuple[str, str], str | None] = {}

    def complete(self, archived: Callable[[], Iterable[tuple[str, str]]]) -> None:
        """Enter the schemas of what is archived, if that was not done with the same surveys.

        An archive may have been begun before tables had entries, or with other surveys.

        Parameters
        ----------
        archived
            returns topics and fingerprints in order of commit:
            `finkray.ledger.claims.archived_schemas`

        Raises
        ------
        LedgerCorrupt
            if an entry is unreadable
        StorageError
            if the storage refuses
        """
        done = json.dumps({"surveys": list(self._packets.surveys.items())}).encode() + b"\n"
        if self._storage.read(_COMPLETE) != done:
            for topic, fingerprint in archived():
                text = read_schema(self._storage, fingerprint)
                try:
                    schema = None if text is None else WriterSchema.from_text(text)
                except SchemaError:
                    schema = None  # the audit names damaged schema files
                if schema is not None:
                    self.refusal(topic, schema)
            self._storage.replace(_COMPLETE, done)
        for folder in self._storage.folders(TABLES_FOLDER):
            self._read(folder)

    def refusal(self, topic: str, schema: WriterSchema) -> str | None:
        """Accept a schema into the table of its topic, or return why it does not fit.

        Raises
        ------
        LedgerCorrupt
            if an entry of the table is unreadable
        StorageError
            if the storage refuses
        """
        key = (table_folder(self._packets.survey_of(topic), topic), schema.fingerprint)
        if key not in self._decided:
            if len(self._decided) >= _MAX_REMEMBERED:
                self._decided.clear()
            self._decided[key] = self._decide(key[0], topic, schema)
        return self._decided[key]

    def _decide(self, folder: str, topic: str, schema: WriterSchema) -> str | None:
        columns = archived_columns(schema.arrow)
        for _ in range(ATTEMPTS):
            table = self._read(folder)
            try:
                union = united(table.columns, columns)
            except ColumnConflict:
                return _conflict_text(table, columns)
            if union.equals(table.columns):
                return None
            if (count := column_count(union)) > MAX_TABLE_COLUMNS:
                return (
                    f"With this schema the table of its topic would have {count} columns, more "
                    f"than {MAX_TABLE_COLUMNS}."
                )
            if not self._accepts:
                return None
            self._before_entry()
            keep_schema(self._storage, schema.fingerprint, schema.text)
            raw = {"fingerprint": schema.fingerprint, "topic": topic}
            path = table_schema_path(folder, table.next_number)
            self._storage.create(path, json.dumps(raw).encode() + b"\n")
        raise StorageError(
            f"{folder} changes all the time, or new files do not appear in its list: does the file "
            "system show all nodes the same files? See `finkray check`"
        )

    def _read(self, folder: str) -> _Table:
        """Return a table with the entries that it has now."""
        table = self._tables.setdefault(folder, _Table())
        for file in self._storage.files(folder):
            if file.path in table.entries:
                continue
            try:
                raw = json.loads(self._storage.read(file.path) or b"")
                fingerprint = str(raw["fingerprint"])
                schema = WriterSchema.from_text(read_schema(self._storage, fingerprint) or "")
                columns = archived_columns(schema.arrow)
                table.columns = united(table.columns, columns)
                table.next_number = 1 + int(file.path.rpartition("/")[2].partition(".")[0])
            except (ValueError, KeyError, TypeError, SchemaError, ColumnConflict) as error:
                raise LedgerCorrupt(
                    f"{file.path}, or the schema that it names, is damaged "
                    f"({type(error).__name__}: {error}). If Kafka still has a packet with the "
                    "schema, `finkray audit --redrive` writes the schema again. Otherwise delete "
                    f"{file.path} while the archive is stopped; the next alert with the schema "
                    "creates it again"
                ) from error
            table.schemas[fingerprint] = columns
            table.entries.add(file.path)
        return table


def _conflict_text(table: _Table, columns: pa.Schema) -> str:
    """Return why a schema with these columns does not fit, with the first schema that it meets."""
    others = {f" of schema {name[:8]}, which came before": of for name, of in table.schemas.items()}
    # First the schema alone: two of its own names may differ in case alone.
    for which, earlier in {"": pa.schema([]), **others}.items():
        try:
            united(earlier, columns)
        except ColumnConflict as conflict:
            return f"Readers cannot put {conflict.new} into one table with {conflict.known}{which}."
    raise AssertionError("a schema that fits every schema of a table fits the table")
