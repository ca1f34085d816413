"""Make the messages of files: each projection is encoded once for all filters that send it.

A few alerts cost as much as many to encode and to hand over. So small files that follow each other
are taken together, see `runs`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa

from finkray.errors import FinkrayError, SchemaError
from finkray.ledger.follow import Position
from finkray.streamout.alerts import AlertReader, PacketSchema
from finkray.streamout.judging import services_of
from finkray.streamout.ledger_files import LedgerFile
from finkray.streamout.output_schema import (
    SOURCE_COLUMNS,
    Kind,
    MessageEncoder,
    OutputSchema,
    sent_bytes,
    source_bytes,
)
from finkray.streamout.published import PublishedFilter
from finkray.streamout.verdict import Verdicts
from finkray.streamout.wire import object_ids

RUN_ALERTS: Final = 500
"""A run has no more alerts, but one file at least: with their images they take 30 MB in memory."""


@dataclass(frozen=True, slots=True)
class JudgedFile:
    """A file with the verdicts of a group's filters on its alerts.

    Attributes
    ----------
    item
        the file
    verdicts
        by filter
    answers
        the records of the services that were read
    versions
        of the filters that judged it, where they are not the published ones
    """

    item: LedgerFile
    verdicts: Mapping[str, Verdicts]
    answers: Mapping[str, pa.ChunkedArray]
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def after(self) -> Position:
        """The position behind the file."""
        return self.item.after

    @property
    def path(self) -> str:
        """The path of the file; empty of an entry without files."""
        return "" if self.item.file is None else self.item.file.path

    @property
    def fingerprint(self) -> str | None:
        """The writer schema of the file."""
        return None if self.item.file is None else self.item.file.schema_fingerprint


def runs(judged: Sequence[JudgedFile]) -> Iterator[list[JudgedFile]]:
    """Yield files in their order, those together of which messages are made together.

    They have one writer schema, were judged by the same filters, and have answers of the same
    services.
    """
    run: list[JudgedFile] = []
    for file in judged:
        alerts = sum(each.item.rows for each in run) + file.item.rows
        if run and (alerts > RUN_ALERTS or _likeness(file) != _likeness(run[0])):
            yield run
            run = []
        run.append(file)
    if run:
        yield run


def _likeness(file: JudgedFile) -> tuple[object, ...]:
    answers = tuple((name, records.type) for name, records in file.answers.items())
    return file.fingerprint, tuple(file.verdicts), tuple(file.versions.items()), answers


@dataclass(slots=True)
class Messages:
    """The messages of a filter for some files, in the order of files and rows.

    Attributes
    ----------
    published
        the filter
    schema_text
        the schema of the records; empty if there is none
    rows
        of each alert the number of its file, and its row there
    object_ids
        of the alerts
    records
        the bare records
    sources
        where the alerts came from, for people
    refused
        alerts of which no message can be made, by the reason: where they came from
    """

    published: PublishedFilter
    schema_text: str
    rows: list[tuple[int, int]] = field(default_factory=list)
    object_ids: list[bytes] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    refused: dict[str, list[str]] = field(default_factory=dict)


_NO_ROWS: Final = np.array([], np.int64)


class MessageMaker:
    """Makes messages of the alerts that passed.

    Parameters
    ----------
    reader
        reads alerts
    """

    def __init__(self, reader: AlertReader) -> None:
        self._reader = reader
        self._encoders: dict[tuple[object, ...], MessageEncoder | str] = {}

    def messages(
        self,
        judged: Sequence[JudgedFile],
        filters: Sequence[PublishedFilter],
        at: datetime,
        kind: Kind = "alert",
    ) -> Iterator[Messages]:
        """Yield the messages of files, filter by filter.

        Parameters
        ----------
        judged
            the files and the verdicts: a run, see `runs`
        filters
            the filters that judged them
        at
            when they are sent
        kind
            what the messages say that they are
        """
        passed = [
            {each.name: file.verdicts[each.name].passed for each in filters} for file in judged
        ]
        rows = [np.unique(np.concatenate([*own.values(), _NO_ROWS])) for own in passed]
        begins = np.cumsum([0, *map(len, rows)])
        if not begins[-1]:
            return
        schema = self._reader.packet_schema(judged[0].fingerprint)
        assert isinstance(schema, PacketSchema)  # noqa: S101 - else nothing passed
        encoders = {each.name: self._encoder(schema, each, judged[0]) for each in filters}
        known = {id(e): e for e in encoders.values() if isinstance(e, MessageEncoder)}
        alerts = self._alerts(judged, rows, [e.schema for e in known.values()])
        answers = _answers(judged, rows)
        objects = object_ids(self._reader.object_columns(alerts))
        sources, texts = source_bytes(alerts), source_texts(alerts)
        numbers = [(file, row) for file, own in enumerate(rows) for row in own.tolist()]
        begun = {number: _begun(encoder, alerts, sources) for number, encoder in known.items()}
        tails = {
            number: encoder.services(answers, len(numbers)) for number, encoder in known.items()
        }
        for each in filters:
            encoder = encoders[each.name]
            found = [
                begin + np.searchsorted(own, of_file[each.name])
                for begin, own, of_file in zip(begins[:-1], rows, passed, strict=True)
            ]
            places = np.concatenate(found).tolist()
            if not places:
                continue
            if isinstance(encoder, str):
                yield Messages(each, "", refused={encoder: [texts[place] for place in places]})
                continue
            beginnings, refused = begun[id(encoder)]
            made = Messages(each, encoder.schema.text)
            for place in [place for place in places if place in refused] if refused else ():
                made.refused.setdefault(refused[place], []).append(texts[place])
                places.remove(place)
            ends = tails[id(encoder)]
            version = judged[0].versions.get(each.name, each.definition.version)
            same = sent_bytes(kind, each.name, version, at)
            made.rows = [numbers[place] for place in places]
            made.object_ids = [objects[place] for place in places]
            made.sources = [texts[place] for place in places]
            made.records = [beginnings[place] + same + ends[place] for place in places]
            yield made

    def _alerts(
        self,
        judged: Sequence[JudgedFile],
        rows: Sequence[np.ndarray],
        schemas: Sequence[OutputSchema],
    ) -> pa.Table:
        """Read the columns of messages for some rows of each file."""
        tables = [
            self._reader.passed(file.path, schemas, own)
            for file, own in zip(judged, rows, strict=True)
            if len(own)
        ]
        return tables[0] if len(tables) == 1 else pa.concat_tables(tables).combine_chunks()

    def _encoder(
        self, schema: PacketSchema, published: PublishedFilter, judged: JudgedFile
    ) -> MessageEncoder | str:
        """Return the encoder of the messages of a filter, or why there is none."""
        services = {
            name: _own_columns(judged.answers[name].type)
            for name in services_of(published.definition)
            if name in judged.answers
        }
        key = (
            schema.text,
            published.projection.text,
            tuple((name, own) for name, own in services.items()),
        )
        if key not in self._encoders:
            try:
                output = OutputSchema.of(schema.text, published.projection, services)
                self._encoders[key] = MessageEncoder(output)
            except FinkrayError as error:
                self._encoders[key] = f"no schema: {error}"
        return self._encoders[key]


def source_texts(alerts: pa.Table) -> list[str]:
    """Return where each alert came from, for people: `topic[partition]@offset`."""
    sources = zip(*(alerts[name].to_pylist() for name in SOURCE_COLUMNS), strict=True)
    return [f"{topic}[{partition}]@{offset}" for topic, partition, offset in sources]


def _begun(
    encoder: MessageEncoder, alerts: pa.Table, sources: Sequence[bytes]
) -> tuple[list[bytes], dict[int, str]]:
    """Return the beginning of each message, and why alerts cannot be encoded, by their place."""
    refused: dict[int, str] = {}
    try:
        packets = encoder.packets(alerts)
    except SchemaError:
        packets = []
        for place in range(alerts.num_rows):
            try:
                packets += encoder.packets(alerts.slice(place, 1))
            except SchemaError as error:
                packets.append(b"")
                refused[place] = f"not encoded: {error}"
    return [packet + source for packet, source in zip(packets, sources, strict=True)], refused


def _answers(judged: Sequence[JudgedFile], rows: Sequence[np.ndarray]) -> pa.Table | None:
    """Return the records of services for some rows of each file; None if none were read."""
    taken = {
        name: pa.chunked_array(
            [
                chunk
                for file, own in zip(judged, rows, strict=True)
                for chunk in file.answers[name].take(pa.array(own)).chunks
            ],
            records.type,
        )
        for name, records in judged[0].answers.items()
    }
    return pa.table(taken) if taken else None


def _own_columns(record: pa.DataType) -> pa.Schema:
    """Return a service's own columns of its record in a message."""
    return pa.schema(list(record)[3:])
