"""Say of a filter what it reads, what its process takes, and how many alerts pass."""

from collections.abc import Iterator
from pathlib import Path

from finkray.errors import FilterError
from finkray.settings.streamout import StreamoutSettings
from finkray.storage.contract import Storage
from finkray.streamout.alerts import AlertReader, service_columns
from finkray.streamout.filter_columns import find_columns
from finkray.streamout.judging import Judge
from finkray.streamout.publishing import check_filter, recent_schemas
from finkray.streamout.trial import Trial, try_recent


def check_lines(archive: Storage, settings: StreamoutSettings, file: Path) -> Iterator[str]:
    """Load a filter and let it judge the last alerts; yield lines on what it reads and passes.

    Raises
    ------
    FilterError
        if anything is wrong with it, and after the lines, if it judged none of these alerts
    """
    judge = Judge(settings, AlertReader(archive))
    with judge.pool as pool:
        definition = check_filter(archive, pool, file)
        memory = pool.memory_bytes()[definition.name]
        recent = try_recent(archive, judge, definition)
    services = service_columns(AlertReader(archive).services())
    yield f"{definition.name} {definition.version}: {definition.about or 'says nothing of itself'}"
    for schema in recent_schemas(archive):
        found = find_columns(definition, schema.columns, services)
        reads = [*found.packet.values(), *(f"{s}.{c}" for s, c in found.services.values())]
        lacks = [definition.arguments[each] for each in found.missing]
        text = f"  alerts of {schema.survey or 'an unknown survey'}: reads {', '.join(reads)}"
        yield text + (f"; not judged, they lack {', '.join(lacks)}" if lacks else "")
    if definition.needs:
        yield f"  needs results of {', '.join(definition.needs)}"
    if definition.sends:
        yield f"  sends results of {', '.join(definition.sends)}"
    yield f"  its process takes {memory / 2**20:.0f} MiB"
    yield f"  {recent.passed:,} of the last {recent.alerts:,} alerts pass ({recent.share:.2%})"
    for reason, count in recent.not_judged.most_common(5):
        yield f"  not judged, {count:,}: {reason}"
    yield from share_warning(recent, settings)
    if failed := recent.failed:
        raise FilterError(f"{definition.name} judged none of these alerts: {failed}")


def share_warning(trial: Trial, limits: StreamoutSettings) -> Iterator[str]:
    """Yield a line if more alerts pass than is wise."""
    if trial.share > limits.max_share:
        yield (
            f"  more than {limits.max_share:.0%} pass (streamout.max_share): a topic of that size "
            "is more than most subscribers can follow, and no more than "
            f"{limits.quota_per_h:,} alerts of an hour are sent (streamout.quota_per_h)"
        )
