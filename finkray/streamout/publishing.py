"""Publish a filter: refuse what cannot work, create its topic, and store it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from finkray.errors import FilterError
from finkray.ledger.follow import new_files
from finkray.ledger.read import read_entries
from finkray.settings.kafka import TOPIC_NAME
from finkray.settings.streamout import StreamoutSettings
from finkray.storage.contract import Storage
from finkray.streamout.alerts import AlertReader, PacketSchema, service_columns
from finkray.streamout.filter_columns import refuse_unknown
from finkray.streamout.filter_file import FilterFile, read_filter
from finkray.streamout.filter_process import FilterPool
from finkray.streamout.judging import services_of
from finkray.streamout.ledger_files import end_of_ledger
from finkray.streamout.output_schema import MessageEncoder, OutputSchema
from finkray.streamout.projection import Projection
from finkray.streamout.published import FilterStore, PublishedFilter
from finkray.streamout.sender import (
    create_filter_topic,
    create_own_topics,
    output_registry,
    read_schemas,
)
from finkray.streamout.wire import Wire

RECENT_ENTRIES: Final = 500
"""Entries of the ledger in which the schemas are looked for that alerts have now."""


def recent_schemas(archive: Storage) -> list[PacketSchema]:
    """Return the schemas of the alerts that were archived last.

    Raises
    ------
    FilterError
        if there are none, or none can be used
    """
    last = end_of_ledger(archive).seq - 1
    reader = AlertReader(archive)
    fingerprints = dict.fromkeys(
        file.schema_fingerprint
        for entry in read_entries(archive, max(-1, last - RECENT_ENTRIES))
        for _, file in new_files(entry)
    )
    found = [reader.packet_schema(fingerprint) for fingerprint in fingerprints]
    schemas = [schema for schema in found if isinstance(schema, PacketSchema)]
    unusable = [schema for schema in found if not isinstance(schema, PacketSchema)]
    if unusable and not schemas:
        raise FilterError(f"no schema of the last alerts can be used: {unusable[0]}")
    if not schemas:
        raise FilterError(
            f"the last {RECENT_ENTRIES} entries of the ledger have no alerts, so that the columns "
            "of a filter cannot be looked up: archive some alerts first"
        )
    return schemas


def check_filter(archive: Storage, pool: FilterPool, path: Path) -> FilterFile:
    """Read a filter, find its columns, and load it in a process of its own.

    Parameters
    ----------
    archive
        with alerts
    pool
        in which it is loaded
    path
        the file of the filter

    Raises
    ------
    FilterError
        if anything is wrong with it
    """
    definition = read_filter(path)
    services = service_columns(AlertReader(archive).services())
    schemas = [
        schema.columns
        for schema in recent_schemas(archive)
        if definition.survey in (None, schema.survey)
    ]
    if not schemas:
        raise FilterError(f"{definition.name}: no alert of {definition.survey} was archived lately")
    refuse_unknown(definition, schemas, services)
    pool.load(definition)
    return definition


def publish_filter(
    archive: Storage,
    config: Mapping[str, Any],
    settings: StreamoutSettings,
    pool: FilterPool,
    path: Path,
    *,
    topic: str,
    projection: Projection,
    wire: Wire,
    quota_per_h: int | None = None,
) -> PublishedFilter:
    """Publish a filter, or a new version of one.

    Raises
    ------
    FilterError
        if anything is wrong with it, its topic has another filter, or it another topic
    SchemaError
        if readers of the new schema could not read what is in the topic
    SchemaUnavailable
        if the schema registry does not answer
    SettingsError
        if the alerts lack a field of the projection
    KafkaUnavailable
        if Kafka does not create the topic
    """
    if not TOPIC_NAME.fullmatch(topic):
        raise FilterError(
            f"{topic!r} is no name of a topic: letters, digits, dots, _ and -, at most 249"
        )
    definition = check_filter(archive, pool, path)
    services = service_columns(AlertReader(archive).services())
    sent = {name: services[name] for name in services_of(definition) if name in services}
    create_own_topics(config, settings)
    book = read_schemas(config, settings.instance)
    registry = output_registry(settings) if wire is Wire.CONFLUENT else None
    for schema in recent_schemas(archive):
        if definition.survey in (None, schema.survey):
            output = OutputSchema.of(schema.text, projection, sent)
            MessageEncoder(output)  # refuses what the writer does not hold
            book.refuse_incompatible(topic, output.text)
            if registry is not None:
                registry.refuse_incompatible(topic, output.text)
    published = PublishedFilter(
        definition=definition,
        file_name=path.name,
        source=definition.source or path.read_text(encoding="utf-8"),
        topic=topic,
        projection=projection,
        wire=wire,
        cursor=end_of_ledger(archive).to_cursor(),
        state="active",
        published_at=datetime.now(UTC),
        quota_per_h=quota_per_h,
    )
    create_filter_topic(config, settings, topic)
    return FilterStore(archive).publish(published)
