"""Say of a filter what it reads, what its process takes, and how many alerts pass."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finkray.errors import FilterError
from finkray.settings.streamout import StreamoutSettings
from finkray.storage.contract import Storage
from finkray.streamout.alerts import AlertReader, PacketSchema, service_columns
from finkray.streamout.filter_columns import find_columns
from finkray.streamout.filter_file import FilterFile
from finkray.streamout.judging import Judge
from finkray.streamout.output_schema import Services
from finkray.streamout.publishing import check_filter, recent_schemas
from finkray.streamout.trial import Trial, try_recent


@dataclass(frozen=True, slots=True)
class ReadColumns:
    """What a filter reads of the alerts of one schema.

    Attributes
    ----------
    survey
        of the alerts; empty if it is not known
    reads
        columns of the packet and of services
    lacks
        columns that the alerts do not have: they are not judged
    """

    survey: str
    reads: tuple[str, ...]
    lacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckedFilter:
    """What a check found.

    Attributes
    ----------
    definition
        the filter
    columns
        what it reads, by schema of the last alerts
    memory_bytes
        of its process, once it is loaded
    recent
        its verdicts on the last alerts
    """

    definition: FilterFile
    columns: tuple[ReadColumns, ...]
    memory_bytes: int
    recent: Trial

    def lines(self, limits: StreamoutSettings) -> Iterator[str]:
        """Yield lines for people."""
        definition, recent = self.definition, self.recent
        about = definition.about or "says nothing of itself"
        yield f"{definition.name} {definition.version}: {about}"
        for each in self.columns:
            survey = each.survey or "an unknown survey"
            text = f"  alerts of {survey}: reads {', '.join(each.reads) or 'nothing'}"
            yield text + (f"; not judged, they lack {', '.join(each.lacks)}" if each.lacks else "")
        if definition.needs:
            yield f"  needs results of {', '.join(definition.needs)}"
        if definition.sends:
            yield f"  sends results of {', '.join(definition.sends)}"
        yield f"  its process takes {self.memory_bytes / 2**20:.0f} MiB"
        yield (
            f"  {recent.passed:,} of the last {recent.alerts:,} alerts pass ({recent.share:.2%}), "
            f"{recent.alerts_per_s:,.0f} alerts/s"
        )
        for reason, count in recent.not_judged.most_common(5):
            yield f"  not judged, {count:,}: {reason}"
        yield from share_warning(recent, limits)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        recent = self.recent.to_json()
        del recent["filter"]
        return {
            "filter": self.definition.name,
            "version": self.definition.version,
            "about": self.definition.about,
            "columns": [
                {"survey": each.survey, "reads": list(each.reads), "lacks": list(each.lacks)}
                for each in self.columns
            ],
            "needs": list(self.definition.needs),
            "sends": list(self.definition.sends),
            "memory_bytes": self.memory_bytes,
            "recent": recent,
        }

    def refuse_failure(self) -> None:
        """Raise FilterError if the filter itself judged none of the last alerts.

        Raises
        ------
        FilterError
            says why
        """
        if failed := self.recent.failed:
            raise FilterError(f"{self.definition.name} judged none of these alerts: {failed}")


def checked_filter(archive: Storage, settings: StreamoutSettings, file: Path) -> CheckedFilter:
    """Load a filter, let it judge the last alerts, and return what it reads and passes.

    Raises
    ------
    FilterError
        if anything is wrong with it
    """
    reader = AlertReader(archive)
    judge = Judge(settings, reader)
    with judge.pool as pool:
        definition = check_filter(archive, pool, file)
        memory_bytes = pool.memory_bytes()[definition.name]
        recent = try_recent(archive, judge, definition)
    services = service_columns(reader.services())
    columns = tuple(
        _read_columns(definition, schema, services) for schema in recent_schemas(archive)
    )
    return CheckedFilter(definition, columns, memory_bytes, recent)


def share_warning(trial: Trial, limits: StreamoutSettings) -> Iterator[str]:
    """Yield a line if more alerts pass than is wise."""
    if trial.share > limits.max_share:
        yield (
            f"  more than {limits.max_share:.0%} pass (streamout.max_share): a topic of that size "
            "is more than most subscribers can follow, and no more than "
            f"{limits.quota_per_h:,} alerts of an hour are sent (streamout.quota_per_h)"
        )


def _read_columns(definition: FilterFile, schema: PacketSchema, services: Services) -> ReadColumns:
    found = find_columns(definition, schema.columns, services)
    of_services = (f"{service}.{column}" for service, column in found.services.values())
    lacks = tuple(definition.arguments[each] for each in found.missing)
    return ReadColumns(schema.survey or "", (*found.packet.values(), *of_services), lacks)
