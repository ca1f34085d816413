"""Which files may have some alerts, by the offsets in their names. Runs with the look-ups."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from finkray.results.store import RESULTS_FOLDER, alerts_path
from finkray.storage.contract import Storage
from finkray.storage.hours import HOUR, Span, utc
from finkray.storage.layout import parse_path

AlertKey = tuple[str, int, int, int | None]
"""Topic, partition and offset of an alert, and its id: a topic that was deleted and created again
has the same offsets again."""


def key_of(row: Mapping[str, Any]) -> AlertKey:
    """Return the key of an alert, from a row of it or of a result for it."""
    return row["kafka_topic"], row["kafka_partition"], row["kafka_offset"], row["alert_id"]


def hour_of(at: datetime | None) -> Span:
    """Return the hour of a time, which has whole hours as its ends; all hours for None.

    Raises
    ------
    ValueError
        if no Python has the hour in UTC
    """
    if at is None:
        return Span()
    begins = utc(at).replace(minute=0, second=0, microsecond=0)
    try:
        return Span(begins, begins + HOUR)
    except OverflowError:
        raise ValueError(f"the hour of {at} does not end in the years 1 to 9999") from None


def files_with(storage: Storage, folders: Iterable[str], keys: Collection[AlertKey]) -> list[str]:
    """Return the files that may have one of some alerts, or results for one; each file once.

    Parameters
    ----------
    storage
        Of the archive, or of results.
    folders
        The hourly folders that are looked through: one has hundreds of files.
    keys
        Of the alerts.
    """
    offsets: dict[tuple[str, int], list[int]] = defaultdict(list)
    for topic, partition, offset, _ in sorted(keys, key=lambda key: key[:3]):
        offsets[topic, partition].append(offset)
    files = (file.path for folder in dict.fromkeys(folders) for file in storage.files(folder))
    return [path for path in files if _may_have(path, offsets)]


def _may_have(path: str, offsets: Mapping[tuple[str, int], Sequence[int]]) -> bool:
    found = parse_path(alerts_path(path) if path.startswith(f"{RESULTS_FOLDER}/") else path)
    if found is None or found.others:
        return True  # a file that claims of several partitions share
    wanted = offsets.get((found.topic, found.partition), ())
    next_wanted = bisect_left(wanted, found.first_offset)
    return next_wanted < len(wanted) and wanted[next_wanted] <= found.last_offset
