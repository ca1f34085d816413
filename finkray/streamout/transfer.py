"""Write archived alerts of a past range to files, or to a topic of their own in Fink's form.

`finkctl transfer` of fink-client takes the number of messages of a topic for its offsets, and
commit markers of transactions are offsets too: it never ends on such a topic. So this writes
without transactions, into a topic that nobody else has written to, and announces it when all is
there: the topic `<topic>_schema`, which that client reads first, is created at the end.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import pyarrow as pa

from finkray.errors import SettingsError, StorageError
from finkray.kafka.producer import Producer
from finkray.kafka.topics import create_topic
from finkray.settings.streamout import StreamoutSettings
from finkray.storage.contract import Storage
from finkray.storage.dataset import select_files
from finkray.storage.hours import Span
from finkray.streamout.alerts import AlertReader
from finkray.streamout.consuming import Format, write_records
from finkray.streamout.filter_file import FilterFile
from finkray.streamout.judging import Judge
from finkray.streamout.messages import JudgedFile, MessageMaker, Messages
from finkray.streamout.projection import Projection
from finkray.streamout.published import PublishedFilter
from finkray.streamout.trial import archived_file, judge_once
from finkray.streamout.verdict import PASSED, Verdicts
from finkray.streamout.wire import Wire, key_and_value, partition_of
from finkray.streamout.written_out import without_logical_types

PREFIX: Final = "ftransfer_"
"""Beginning of the topics that fink-client takes for transfers, and hides from its live topics."""

MOST_PARTITIONS: Final = 10
"""Most partitions of a topic that `finkctl transfer` reads."""

SCHEMA_COPIES: Final = 3
"""Copies of each schema. Each run of `finkctl transfer` reads the topic of the schema in a consumer
group, which goes on behind the message that it read: a second run would get the next copy."""

ALL: Final = FilterFile("all", "sql", "true", "", {}, about="All alerts.")
"""Stands for no filter."""


@dataclass(slots=True)
class TransferResult:
    """What a transfer wrote.

    Attributes
    ----------
    alerts
        how many were looked at
    sent
        messages
    reasons
        alerts that could not be judged, or not be made a message, by reason
    is_complete
        whether nothing is missing: it was not stopped before the end
    """

    alerts: int = 0
    sent: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    is_complete: bool = False

    @property
    def refused(self) -> int:
        """How many alerts could not be judged, or not be made a message."""
        return self.reasons.total()


def transfer(
    archive: Storage,
    config: Mapping[str, Any],
    settings: StreamoutSettings,
    *,
    topic: str,
    span: Span,
    definition: FilterFile | None,
    projection: Projection,
    tell: Callable[[str], None],
    stopping: threading.Event,
) -> TransferResult:
    """Write the alerts of some hours that pass a filter, or all, to a new topic.

    Raises
    ------
    SettingsError
        if the topic is not called as a transfer
    FilterError
        if the filter fails
    FinkrayError
        if the topic exists already
    KafkaUnavailable
        if Kafka does not answer
    """
    if not topic.startswith(PREFIX):
        raise SettingsError(f"{topic!r}: the topic of a transfer begins with {PREFIX}")
    partitions = min(settings.partitions, MOST_PARTITIONS)
    limits = {"max.message.bytes": str(int(settings.max_message_bytes))}
    done = TransferResult()
    schemas: dict[str, None] = {}
    chosen = _Chosen(archive, settings, span, definition, projection)
    create_topic(config, topic, partitions, limits, replicas=settings.replication_factor)
    with Producer(config) as producer, closing(chosen.messages(done, tell, stopping)) as found:
        for messages in found:
            text = messages.schema_text
            for object_id, record in zip(messages.object_ids, messages.records, strict=True):
                key, value = key_and_value(Wire.FINK, record, object_id, 0, text.encode())
                partition = partition_of(object_id, partitions)
                producer.produce(topic, value, key=key, partition=partition)
                schemas[text] = None
        producer.flush()
        if not stopping.is_set():
            create_topic(config, f"{topic}_schema", 1, replicas=settings.replication_factor)
            for text_of_schema in schemas:
                # fink-client turns it into a schema of Arrow, and knows no logical types.
                plain = json.dumps(without_logical_types(json.loads(text_of_schema)))
                for _ in range(SCHEMA_COPIES):
                    producer.produce(f"{topic}_schema", b"schema", key=plain.encode())
            producer.flush()
            done.is_complete = True
    return done


def transfer_to_files(
    archive: Storage,
    settings: StreamoutSettings,
    *,
    folder: Path,
    form: Format,
    span: Span,
    definition: FilterFile | None,
    projection: Projection,
    tell: Callable[[str], None],
    stopping: threading.Event,
) -> TransferResult:
    """Write the alerts of some hours to files: one for each file of the archive.

    A filter says which alerts; without a filter all are written.

    Raises
    ------
    SettingsError
        if there are files in the folder already: it would be unknown what they have
    FilterError
        if the filter fails
    StorageError
        if a file cannot be written
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        has_files = any(folder.iterdir())
    except OSError as error:
        raise StorageError(f"{folder} cannot be created: {error.strerror}") from error
    if has_files:
        raise SettingsError(f"{folder} has files already: save to a new folder")
    done = TransferResult()
    chosen = _Chosen(archive, settings, span, definition, projection)
    with closing(chosen.messages(done, tell, stopping)) as found:
        for messages in found:
            if messages.records:
                path = folder / f"{PurePosixPath(chosen.path).stem}.{form}"
                write_records(path, messages.schema_text, messages.records, form)
    done.is_complete = chosen.reached_end
    return done


class _Chosen:
    """The alerts of a transfer, as messages.

    Attributes
    ----------
    path
        of the file of the archive whose messages were yielded last
    reached_end
        whether all messages were yielded
    """

    def __init__(
        self,
        archive: Storage,
        settings: StreamoutSettings,
        span: Span,
        definition: FilterFile | None,
        projection: Projection,
    ) -> None:
        self._archive = archive
        self._settings = settings
        self._definition = definition
        self._published = _published(definition or ALL, projection)
        self._files, _ = select_files(archive, span, None)
        self.path = ""
        self.reached_end = False

    def messages(
        self, done: TransferResult, tell: Callable[[str], None], stopping: threading.Event
    ) -> Generator[Messages]:
        """Yield the messages of each file, counted, until `stopping` is set."""
        reader = AlertReader(self._archive)
        judge = Judge(self._settings, reader)
        maker = MessageMaker(reader)
        with judge.pool:
            for number, file in enumerate(self._files, start=1):
                if stopping.is_set():
                    return
                self.path = file.path
                judged = judge_file(self._archive, judge, reader, file.path, self._definition)
                if judged is None:
                    continue
                done.alerts += judged.item.rows
                done.reasons.update(judged.verdicts[self._published.name].counts_by_reason())
                for messages in maker.messages([judged], [self._published], datetime.now(UTC)):
                    done.reasons.update({why: len(them) for why, them in messages.refused.items()})
                    done.sent += len(messages.records)
                    yield messages
                tell(f"file {number} of {len(self._files)}: {done.sent:,} alerts written")
        self.reached_end = True


def judge_file(
    archive: Storage,
    judge: Judge,
    reader: AlertReader,
    path: str,
    definition: FilterFile | None,
) -> JudgedFile | None:
    """Return what a filter says of the alerts of a file, which all pass without a filter.

    None if the file has alerts of another survey. Alerts whose schema cannot be read are not
    judged.

    Raises
    ------
    FilterError
        if the filter fails at the file
    """
    item = archived_file(archive, path)
    answers: dict[str, pa.ChunkedArray] = {}
    if definition is None:
        schema = reader.packet_schema(item.file.schema_fingerprint if item.file else None)
        verdicts: Verdicts | None = (
            Verdicts.not_judged(item.rows, schema)
            if isinstance(schema, str)
            else Verdicts(np.full(item.rows, PASSED, np.uint8))
        )
    else:
        verdicts, answers = judge_once(judge, reader, item, definition)
    name = ALL.name if definition is None else definition.name
    return None if verdicts is None else JudgedFile(item, {name: verdicts}, answers)


def _published(definition: FilterFile, projection: Projection) -> PublishedFilter:
    return PublishedFilter(
        definition=definition,
        file_name="",
        source="",
        topic="",
        projection=projection,
        wire=Wire.FINK,
        cursor="",
        state="active",
        published_at=datetime.now(UTC),
    )
