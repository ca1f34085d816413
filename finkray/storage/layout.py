"""Paths of files in an archive, relative to its root, with forward slashes.

    alerts/topic=T/year=YYYY/month=MM/day=DD/hour=HH/<name>
    deadletters/topic=T/year=YYYY/month=MM/day=DD/<name>
    schemas/<fingerprint>.avsc
    schemas/ids/<cluster id>/<schema id>.json
    schemas/tables/<table>/<number>.json

A file name is `<topic>-<topic id>-<partition>-<first offset>-<last offset>-<schema>.parquet`, for
people and for sorting; only the ledger counts. The name of a file that several claims share has
the offsets of the first of them, and `-and<number of the others>` before the schema.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from urllib.parse import quote, unquote

from finkray.claim import DataFile, TopicPartition

ALERTS_FOLDER = "alerts"
DEAD_LETTERS_FOLDER = "deadletters"
SCHEMAS_FOLDER = "schemas"
SCHEMA_IDS_FOLDER = f"{SCHEMAS_FOLDER}/ids"
TABLES_FOLDER = f"{SCHEMAS_FOLDER}/tables"

DEAD_LETTER_MARK = "dead"
"""Stands in the name of a dead-letter file for the schema's fingerprint."""

_TOPIC_IN_NAME_CHARS = 120
"""Kafka's topic names may have 249 characters and most file systems' names 255."""

_NAME = re.compile(
    r"(?P<topic>.+)-(?P<topic_id8>.{8})-(?P<partition>\d{5,})"
    r"-(?P<first>\d{20})-(?P<last>\d{20})(-and(?P<others>\d+))?"
    r"-(?P<schema>[0-9a-f]{8}|dead)\.parquet"
)
_FOLDER = re.compile(
    r"(?P<kind>alerts|deadletters)/topic=(?P<topic>[^/]+)"
    r"/year=(?P<year>\d{4})/month=(?P<month>\d\d)/day=(?P<day>\d\d)(/hour=(?P<hour>\d\d))?"
)


@dataclass(frozen=True, slots=True)
class ArchivePath:
    """The parts of the path of an alerts or dead-letter file.

    Attributes
    ----------
    hour_utc
        the hour, UTC; for a dead-letter file the first hour of its day
    topic_id8
        the first 8 characters of Kafka's id of the topic
    fingerprint8
        the first 8 hexadecimal digits of the writer schema's fingerprint; None for dead letters
    others
        how many claims have rows in the file beside the one that partition and offsets are of
    """

    topic: str
    topic_id8: str
    partition: int
    first_offset: int
    last_offset: int
    hour_utc: datetime
    fingerprint8: str | None
    others: int = 0


def alerts_path(
    source: TopicPartition,
    hour_utc: datetime,
    first_offset: int,
    last_offset: int,
    fingerprint: str,
    *,
    others: int = 0,
) -> str:
    """Return the path of the alerts of one hour and schema between two offsets.

    With `others`, so many claims have alerts in the file beside the one with these offsets.
    """
    folder = f"{ALERTS_FOLDER}/{_day_folder(source.topic, hour_utc)}/hour={hour_utc.hour:02d}"
    schema = f"and{others}-{fingerprint[:8]}" if others else fingerprint[:8]
    return f"{folder}/{_name(source, first_offset, last_offset, schema)}"


def own_path(source: TopicPartition, file: DataFile) -> str:
    """Return the path of a claim's alerts if they were in a file that no other claim shares."""
    if not file.is_shared:
        return file.path
    hour = datetime.fromisoformat(str(file.hour_utc))
    fingerprint = str(file.schema_fingerprint)
    return alerts_path(source, hour, file.first_offset, file.last_offset, fingerprint)


def dead_letters_path(
    source: TopicPartition, day_utc: date, first_offset: int, last_offset: int
) -> str:
    """Return the path of the dead letters of one day between two offsets."""
    folder = f"{DEAD_LETTERS_FOLDER}/{_day_folder(source.topic, day_utc)}"
    return f"{folder}/{_name(source, first_offset, last_offset, DEAD_LETTER_MARK)}"


def schema_path(fingerprint: str) -> str:
    """Return the path of the writer schema with a fingerprint."""
    return f"{SCHEMAS_FOLDER}/{fingerprint}.avsc"


def schema_id_path(cluster_id: str, schema_id: int) -> str:
    """Return the path of the file that maps a schema id of a Kafka cluster to a schema."""
    return f"{SCHEMA_IDS_FOLDER}/{quote(cluster_id, safe='')}/{schema_id}.json"


def table_folder(survey: str | None, topic: str) -> str:
    """Return the folder of the table that a survey's topics make up, or one other topic."""
    table = f"topic={quote(topic, safe='')}" if survey is None else f"survey={survey}"
    return f"{TABLES_FOLDER}/{table}"


def table_schema_path(folder: str, number: int) -> str:
    """Return the path of an entry of a table: the schema that was its `number`th."""
    return f"{folder}/{number:06d}.json"


def cluster_of_ids(folder: str) -> str:
    """Return the id of the cluster whose schema ids are in a folder."""
    return unquote(folder.rpartition("/")[2])


def parse_path(path: str) -> ArchivePath | None:
    """Parse the path of an alerts or dead-letter file; None if it is neither."""
    folder, _, name = path.rpartition("/")
    in_folder, in_name = _FOLDER.fullmatch(folder), _NAME.fullmatch(name)
    if in_folder is None or in_name is None:
        return None
    is_alerts = in_folder["kind"] == ALERTS_FOLDER
    if is_alerts != (in_folder["hour"] is not None) or is_alerts == (
        in_name["schema"] == DEAD_LETTER_MARK
    ):
        return None
    numbers = (int(in_folder[key] or 0) for key in ("year", "month", "day", "hour"))
    try:
        hour_utc = datetime(*numbers, tzinfo=UTC)  # type: ignore[arg-type,misc]
    except ValueError:
        return None
    return ArchivePath(
        topic=in_folder["topic"],
        topic_id8=in_name["topic_id8"],
        partition=int(in_name["partition"]),
        first_offset=int(in_name["first"]),
        last_offset=int(in_name["last"]),
        hour_utc=hour_utc,
        fingerprint8=in_name["schema"] if is_alerts else None,
        others=int(in_name["others"] or 0),
    )


def topic_id8(topic_id: str) -> str:
    """Return a topic id as in file names. Kafka's ids are 22 letters, digits, - or _."""
    return re.sub(r"[^\w-]", "_", topic_id, flags=re.ASCII)[:8].ljust(8, "_")


def _day_folder(topic: str, day: date) -> str:
    return f"topic={topic}/year={day.year:04d}/month={day.month:02d}/day={day.day:02d}"


def _name(source: TopicPartition, first_offset: int, last_offset: int, schema: str) -> str:
    # Spark, pyarrow and others ignore files whose names begin with a dot or an underscore.
    topic = source.topic[:_TOPIC_IN_NAME_CHARS].lstrip("._-") or "topic"
    partition = f"{topic}-{topic_id8(source.topic_id)}-{source.partition:05d}"
    return f"{partition}-{first_offset:020d}-{last_offset:020d}-{schema}.parquet"
