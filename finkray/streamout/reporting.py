"""What `finkray status` and the metrics show of the published filters."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from finkray.ledger.follow import Position
from finkray.status.streamout import FilterStatus, FilterTrouble
from finkray.storage.contract import Storage
from finkray.streamout.figures import SentWindow
from finkray.streamout.ledger_files import files_from
from finkray.streamout.progress import Progress
from finkray.streamout.published import PublishedFilter

MOST_TROUBLES: Final = 5
"""Reasons of a filter that are shown: a report comes every two seconds."""

_NAMED: Final = 3


def filter_statuses(
    archive: Storage,
    filters: Sequence[PublishedFilter],
    progress: Mapping[str, Progress],
    window: SentWindow,
    faults: Mapping[str, str],
) -> tuple[FilterStatus, ...]:
    """Return what each filter judged and sent.

    Parameters
    ----------
    archive
        the archive
    filters
        the published ones
    progress
        by filter, as it is committed
    window
        what was sent lately
    faults
        why filters rest, by name
    """
    behind_s: dict[tuple[str, str | None], float] = {}
    found = []
    for each in filters:
        version = each.definition.version
        done = progress.get(each.name, Progress(each.name, version, each.cursor, each.cursor))
        at = done.cursor, done.mark
        if each.state == "active" and at not in behind_s:
            behind_s[at] = _behind_s(archive, *at)
        figures = window.figures(each.name)
        found.append(
            FilterStatus(
                name=each.name,
                version=version,
                topic=each.topic,
                state=each.state,
                alerts=done.alerts,
                passed=done.passed,
                not_judged=done.not_judged.total(),
                sent=done.sent,
                refused=done.refused.total(),
                refused_lately=figures.refused_lately,
                amendments=done.amendments,
                awaiting=done.awaiting,
                sent_per_s=figures.per_s,
                latency_p50_s=figures.latency_p50_s,
                latency_p95_s=figures.latency_p95_s,
                behind_s=behind_s[at] if each.state == "active" else 0.0,
                fault=faults.get(each.name, ""),
                troubles=_troubles(done),
            )
        )
    return tuple(found)


def _troubles(progress: Progress) -> tuple[FilterTrouble, ...]:
    """Return the most frequent reasons why alerts were not judged or not sent."""
    counts = progress.not_judged + progress.refused
    return tuple(
        FilterTrouble(
            reason=reason, alerts=alerts, named=tuple(progress.named.get(reason, ()))[:_NAMED]
        )
        for reason, alerts in counts.most_common(MOST_TROUBLES)
    )


def _behind_s(archive: Storage, cursor: str, mark: str | None) -> float:
    """Return how long ago the first file with alerts behind a position became durable, in s."""
    for item in files_from(archive, Position.from_cursor(cursor), mark):
        if item.rows and item.committed_at is not None:
            return max(0.0, (datetime.now(UTC) - item.committed_at).total_seconds())
    return 0.0
