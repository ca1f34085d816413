"""Where files stand in an archive. Paths are relative to its root, with forward slashes.

    alerts/topic=T/year=YYYY/month=MM/day=DD/hour=HH/<name>
    deadletters/topic=T/year=YYYY/month=MM/day=DD/<name>
    schemas/<fingerprint>.avsc
    schemas/ids/<cluster id>/<schema id>.json

A name is `<topic>-<topic id>-<partition>-<first offset>-<last offset>-<schema>.parquet`, for
people and for sorting; the ledger is the truth.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from urllib.parse import quote, unquote

from finkray.claim import TopicPartition

ALERTS_FOLDER = "alerts"
DEAD_LETTERS_FOLDER = "deadletters"
SCHEMAS_FOLDER = "schemas"
SCHEMA_IDS_FOLDER = f"{SCHEMAS_FOLDER}/ids"

DEAD_LETTER_MARK = "dead"
"""Stands in a name in place of the schema's fingerprint."""

_TOPIC_IN_NAME_CHARS = 120
"""Kafka's topic names may have 249 characters and most file systems' names 255."""

_NAME = re.compile(
    r"(?P<topic>.+)-(?P<topic_id8>.{8})-(?P<partition>\d{5,})"
    r"-(?P<first>\d{20})-(?P<last>\d{20})-(?P<schema>[0-9a-f]{8}|dead)\.parquet"
)
_FOLDER = re.compile(
    r"(?P<kind>alerts|deadletters)/topic=(?P<topic>[^/]+)"
    r"/year=(?P<year>\d{4})/month=(?P<month>\d\d)/day=(?P<day>\d\d)(/hour=(?P<hour>\d\d))?"
)


@dataclass(frozen=True, slots=True)
class ArchivePath:
    """What the path of a data file or dead-letter file tells.

    Attributes
    ----------
    hour_utc
        the hour, with zone; of a dead-letter file the first hour of its day
    topic_id8
        the first 8 characters of Kafka's id of the topic
    fingerprint8
        the first 8 hexadecimal digits of the writer schema's fingerprint; None for dead letters
    """

    topic: str
    topic_id8: str
    partition: int
    first_offset: int
    last_offset: int
    hour_utc: datetime
    fingerprint8: str | None


def alerts_path(
    source: TopicPartition,
    hour_utc: datetime,
    first_offset: int,
    last_offset: int,
    fingerprint: str,
) -> str:
    """Where the alerts of one hour and one schema stand that lie between these offsets."""
    folder = f"{ALERTS_FOLDER}/{_day_folder(source.topic, hour_utc)}/hour={hour_utc.hour:02d}"
    return f"{folder}/{_name(source, first_offset, last_offset, fingerprint[:8])}"


def dead_letters_path(
    source: TopicPartition, day_utc: date, first_offset: int, last_offset: int
) -> str:
    """Where the dead letters of one day stand that lie between these offsets."""
    folder = f"{DEAD_LETTERS_FOLDER}/{_day_folder(source.topic, day_utc)}"
    return f"{folder}/{_name(source, first_offset, last_offset, DEAD_LETTER_MARK)}"


def schema_path(fingerprint: str) -> str:
    """Where the writer schema with that fingerprint is kept."""
    return f"{SCHEMAS_FOLDER}/{fingerprint}.avsc"


def schema_id_path(cluster_id: str, schema_id: int) -> str:
    """Where it is written down what a schema's id means on a Kafka cluster."""
    return f"{SCHEMA_IDS_FOLDER}/{quote(cluster_id, safe='')}/{schema_id}.json"


def cluster_of_ids(folder: str) -> str:
    """The cluster whose ids stand in a folder."""
    return unquote(folder.rpartition("/")[2])


def parse_path(path: str) -> ArchivePath | None:
    """What the path of an alerts or dead-letter file tells; None if it is neither."""
    folder, _, name = path.rpartition("/")
    where, what = _FOLDER.fullmatch(folder), _NAME.fullmatch(name)
    if where is None or what is None:
        return None
    is_alerts = where["kind"] == ALERTS_FOLDER
    if is_alerts != (where["hour"] is not None) or is_alerts == (
        what["schema"] == DEAD_LETTER_MARK
    ):
        return None
    parts = (int(where[key] or 0) for key in ("year", "month", "day", "hour"))
    try:
        hour_utc = datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]
    except ValueError:
        return None
    return ArchivePath(
        topic=where["topic"],
        topic_id8=what["topic_id8"],
        partition=int(what["partition"]),
        first_offset=int(what["first"]),
        last_offset=int(what["last"]),
        hour_utc=hour_utc,
        fingerprint8=what["schema"] if is_alerts else None,
    )


def topic_id8(topic_id: str) -> str:
    """How an id of a topic stands in a file's name. Kafka's own are 22 letters, digits, - or _."""
    return re.sub(r"[^\w-]", "_", topic_id, flags=re.ASCII)[:8].ljust(8, "_")


def _day_folder(topic: str, day: date) -> str:
    return f"topic={topic}/year={day.year:04d}/month={day.month:02d}/day={day.day:02d}"


def _name(source: TopicPartition, first_offset: int, last_offset: int, schema: str) -> str:
    # Spark, pyarrow and others do not see files whose names begin with a dot or an underscore.
    topic = source.topic[:_TOPIC_IN_NAME_CHARS].lstrip("._-") or "topic"
    where = f"{topic}-{topic_id8(source.topic_id)}-{source.partition:05d}"
    return f"{where}-{first_offset:020d}-{last_offset:020d}-{schema}.parquet"
