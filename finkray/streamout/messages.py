"""Make the messages of a file: each projection is encoded once for all filters that send it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

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


@dataclass(frozen=True, slots=True)
class JudgedFile:
    """A file with what the filters of a group said of its alerts.

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


@dataclass(slots=True)
class Messages:
    """The messages of a filter for a file, in the order of its rows.

    Attributes
    ----------
    published
        the filter
    schema_text
        the schema of the records; empty if there is none
    rows
        of the alerts in the file
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
    rows: list[int] = field(default_factory=list)
    object_ids: list[bytes] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    refused: dict[str, list[str]] = field(default_factory=dict)


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
        judged: JudgedFile,
        filters: Sequence[PublishedFilter],
        at: datetime,
        kind: Kind = "alert",
    ) -> Iterator[Messages]:
        """Yield the messages of a file, filter by filter.

        Parameters
        ----------
        judged
            the file and the verdicts
        filters
            the filters that judged it
        at
            when they are sent
        kind
            what the messages say that they are
        """
        file = judged.item.file
        rows_of = {each.name: judged.verdicts[each.name].passed for each in filters}
        rows = np.unique(np.concatenate([*rows_of.values(), np.array([], np.int64)]))
        if file is None or not len(rows):
            return
        schema = self._reader.packet_schema(file.schema_fingerprint)
        assert isinstance(schema, PacketSchema)  # noqa: S101 - else nothing passed
        encoders = {each.name: self._encoder(schema, each, judged) for each in filters}
        known = {id(e): e for e in encoders.values() if isinstance(e, MessageEncoder)}
        alerts = self._reader.passed(file.path, [e.schema for e in known.values()], rows)
        objects = object_ids(self._reader.object_columns(alerts))
        sources, texts, numbers = source_bytes(alerts), source_texts(alerts), rows.tolist()
        begun = {number: _begun(encoder, alerts, sources) for number, encoder in known.items()}
        tails = {number: _tails(each, judged.answers, rows) for number, each in known.items()}
        for each in filters:
            encoder = encoders[each.name]
            places = np.searchsorted(rows, rows_of[each.name]).tolist()
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
            version = judged.versions.get(each.name, each.definition.version)
            same = sent_bytes(kind, each.name, version, at)
            made.rows = [numbers[place] for place in places]
            made.object_ids = [objects[place] for place in places]
            made.sources = [texts[place] for place in places]
            made.records = [beginnings[place] + same + ends[place] for place in places]
            yield made

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


def _tails(
    encoder: MessageEncoder, answers: Mapping[str, pa.ChunkedArray], rows: np.ndarray
) -> list[bytes]:
    taken = {name: records.take(pa.array(rows)) for name, records in answers.items()}
    return encoder.services(pa.table(taken) if taken else None, len(rows))


def _own_columns(record: pa.DataType) -> pa.Schema:
    """Return a service's own columns of its record in a message."""
    return pa.schema(list(record)[3:])
