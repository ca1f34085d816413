"""`finkray filter`: check, test, publish and list filters."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from finkray.errors import SettingsError
from finkray.ledger.follow import Position
from finkray.settings.model import Settings
from finkray.settings.streamout import StreamoutSettings
from finkray.storage.hours import span_between
from finkray.streamout.checking import CheckedFilter, checked_filter, share_warning
from finkray.streamout.filter_process import FilterPool, limits_of
from finkray.streamout.ledger_files import files_from
from finkray.streamout.progress import Progress
from finkray.streamout.projection import Projection
from finkray.streamout.published import FilterStore, PublishedFilter
from finkray.streamout.publishing import publish_filter
from finkray.streamout.sender import read_out_ledger
from finkray.streamout.trial import Trial, try_filter
from finkray.streamout.wire import Wire
from jobs.cluster.archive import archive_of
from jobs.cluster.streamout_kafka import streamout_kafka


def check_now(settings: Settings, file: Path) -> CheckedFilter:
    """Check a filter; return what it reads, costs and passes.

    Raises
    ------
    FilterError
        If anything is wrong with it.
    """
    return checked_filter(archive_of(settings), settings.streamout, file)


def try_now(
    settings: Settings,
    file: Path,
    begins: str,
    ends: str,
    *,
    tell: Callable[[str], None],
    stopping: threading.Event,
) -> Trial:
    """Judge archived alerts with a filter.

    Raises
    ------
    SettingsError
        If a time is none.
    FilterError
        If anything is wrong with the filter.
    """
    try:
        span = span_between(begins, ends)
    except ValueError as error:
        raise SettingsError(f"--from, --to: {error}") from error
    return try_filter(
        archive_of(settings), settings.streamout, file, span, tell=tell, stopping=stopping
    )


def trial_lines(trial: Trial, limits: StreamoutSettings) -> Iterator[str]:
    """Yield lines on a trial."""
    yield (
        f"{trial.name}: {trial.passed:,} of {trial.alerts:,} alerts pass ({trial.share:.2%}), "
        f"{trial.alerts_per_s:,.0f} alerts/s"
    )
    for night, (alerts, passed) in sorted(trial.by_night.items()):
        yield f"  night {night}: {passed:,} of {alerts:,} ({passed / max(1, alerts):.2%})"
    for reason, count in trial.not_judged.most_common():
        yield f"  not judged, {count:,}: {reason}"
    if trial.examples:
        yield f"  for example {', '.join(trial.examples)}"
    for name, both in trial.overlap.most_common(10):
        if both:
            yield f"  {both:,} of the {trial.passed:,} pass the published filter {name} too"
    yield from share_warning(trial, limits)


def publish_now(
    settings: Settings,
    file: Path,
    *,
    topic: str,
    projection: Projection,
    wire: Wire,
    quota_per_h: int | None,
) -> PublishedFilter:
    """Publish a filter.

    Raises
    ------
    FilterError
        If anything is wrong with it.
    """
    with FilterPool(limits_of(settings.streamout)) as pool:
        return publish_filter(
            archive_of(settings),
            streamout_kafka(settings),
            settings.streamout,
            pool,
            file,
            topic=topic,
            projection=projection,
            wire=wire,
            quota_per_h=quota_per_h,
        )


def listed(settings: Settings) -> list[dict[str, Any]]:
    """Return the published filters with their progress, as plain values.

    Raises
    ------
    KafkaUnavailable
        If Kafka does not answer.
    """
    archive = archive_of(settings)
    published = FilterStore(archive).all()
    if not published:
        return []
    config = streamout_kafka(settings)
    done = read_out_ledger(config, settings.streamout.instance).progress
    rows = []
    for each in published:
        version = each.definition.version
        nothing = Progress(each.name, version, each.cursor, each.cursor)
        progress = done.get(each.name, nothing).to_json()
        del progress["filter"], progress["version"], progress["format"]
        cursor, mark = Position.from_cursor(progress["cursor"]), progress["mark"]
        progress["waiting"] = sum(item.rows for item in files_from(archive, cursor, mark))
        rows.append(
            {
                "name": each.name,
                "version": version,
                "topic": each.topic,
                "projection": each.projection.text,
                "wire": each.wire.value,
                "state": each.state,
                "about": each.definition.about,
                **progress,
            }
        )
    return rows
