"""List the newest alerts that have a class in a night."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from finkray.results.counts import CLASS_COLUMN, NO_NIGHT, NightCounts
from finkray.results.joined import newest
from finkray.results.store import RESULTS_FOLDER, ResultsStore, result_schema
from finkray.storage.dataset import open_dataset
from finkray.storage.hours import Span, utc

_RULE = "rule"


@dataclass(frozen=True, slots=True)
class ClassifiedAlert:
    """An alert, and why it has its class.

    Attributes
    ----------
    alert_id, object_id
        ZTF's candid and objectId, LSST's diaSourceId and diaObjectId, if it has them
    kafka_timestamp
        when it arrived in Kafka, UTC
    topic
        its Kafka topic
    why
        the rule, or why there is no class
    """

    alert_id: int | None
    object_id: str | None
    kafka_timestamp: datetime | None
    topic: str
    why: str


def newest_of_class(
    store: ResultsStore, night: NightCounts, name: str, limit: int
) -> tuple[ClassifiedAlert, ...]:
    """Return the alerts of a class in a night that arrived last, the newest first; each once.

    Parameters
    ----------
    store
        the results
    night
        the night; its hours are read from the last to the first, until there are enough alerts
    name
        the class, or the status of alerts that have none
    limit
        number of alerts at most
    """
    tables: list[pa.Table] = []
    for hour in night.hours:
        tables.append(_of_hour(store, hour, night.night, name))
        if sum(map(len, tables)) >= limit:
            break
    if not tables:
        return ()
    rows = newest(pa.concat_tables(tables)).sort_by([("kafka_timestamp", "descending")])
    return tuple(
        ClassifiedAlert(
            alert_id=row["alert_id"],
            object_id=row["object_id"],
            kafka_timestamp=row["kafka_timestamp"],
            topic=row["kafka_topic"],
            why=row[_RULE] or row["reason"] or "",
        )
        for row in rows.slice(0, limit).to_pylist()
    )


def _of_hour(store: ResultsStore, hour: str, night: str, name: str) -> pa.Table:
    output = store.about.output
    begins = utc(hour)
    dataset, _ = open_dataset(
        store.storage,
        Span(begins, begins + timedelta(hours=1)),
        None,
        below=RESULTS_FOLDER,
        schema=result_schema(output),
    )
    if night == NO_NIGHT:
        of_night = pc.field("obs_night").is_null()
    else:
        of_night = pc.field("obs_night") == pa.scalar(date.fromisoformat(night))
    of_class = pc.coalesce(pc.field(CLASS_COLUMN), pc.field("status")) == name
    columns = ["kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp"]
    columns += ["alert_id", "object_id", "reason"]
    selected = {column: pc.field(column) for column in columns}
    rule = pc.field(_RULE) if _RULE in output.names else pc.scalar(pa.scalar(None, pa.string()))
    return dataset.to_table({**selected, _RULE: rule}, filter=of_night & of_class)
