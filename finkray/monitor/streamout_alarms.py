"""Decide from a snapshot of streaming out which alarms are raised, and say what to do. Pure.

docs/operations.md explains each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from finkray.status.streamout import FilterStatus, StreamoutSnapshot

SILENT_S: Final = 60.0
"""A snapshot comes every two seconds; a process that takes over needs some of them."""

BEHIND_S: Final = 60.0
"""Alerts are sent within a second or two; those of a filter with `NEEDS` after `needs_s`."""

WHAT_TO_DO: Final = {
    "STREAMOUT_SILENT": "Does `finkray status` list the job streamout? `finkray logs streamout` "
    "shows why it ended; `finkray start streamout` starts it again. Nothing is lost: it goes on "
    "where it was.",
    "STREAMOUT_STOPPED": "Is the Kafka of [streamout] up, and may the login write? It is retried "
    "by itself, and what waits is sent then. The archive does not wait for it.",
    "STREAMOUT_BEHIND": "More is judged than one process can: retire filters that nobody reads, "
    "give those with many alerts the projection lite, or give the machine cores. Nothing is lost.",
    "FILTER_RESTS": "Its code fails at every batch; the other filters go on. Give its author the "
    "message, and publish the mended file again: it goes on where it was.",
    "FILTER_REFUSED": "`finkray filter list` has the reasons. Over its quota: narrow the filter, "
    "or publish it again with a larger --quota. Too large: take a smaller projection, or raise "
    "streamout.max_message_bytes and the topic's max.message.bytes.",
}
"""What to do about each alarm, by its code."""


@dataclass(frozen=True, slots=True)
class StreamoutAlarm:
    """A condition that the person on shift should know, and what to do about it."""

    code: str
    message: str
    what_to_do: str


def streamout_alarms(snapshot: StreamoutSnapshot, now: datetime) -> tuple[StreamoutAlarm, ...]:
    """Return the alarms that follow from a snapshot.

    Parameters
    ----------
    snapshot
        the last of an instance whose job runs
    now
        the time, UTC
    """
    found: list[tuple[str, str]] = []
    silent_s = (now - snapshot.at).total_seconds()
    if silent_s > SILENT_S:
        found.append(("STREAMOUT_SILENT", f"no report for {silent_s:.0f} s"))
    elif snapshot.problem:
        found.append(("STREAMOUT_STOPPED", f"nothing is sent: {snapshot.problem}"))
    active = [each for each in snapshot.filters if each.state == "active"]
    behind = [each for each in active if each.behind_s > BEHIND_S and not each.fault]
    if behind and silent_s <= SILENT_S and not snapshot.problem:
        worst = max(behind, key=lambda each: each.behind_s)
        text = f"{worst.name} by {worst.behind_s:.0f} s"
        message = f"{_filters(behind, 'is', 'are')} behind the archive, {text}"
        found.append(("STREAMOUT_BEHIND", message))
    if resting := [each for each in active if each.fault]:
        texts = "; ".join(f"{each.name}: {each.fault}" for each in resting[:3])
        found.append(("FILTER_RESTS", f"{_filters(resting, 'rests', 'rest')}: {texts}"))
    if refusing := [each for each in active if each.refused_lately]:
        texts = ", ".join(f"{each.name} {each.refused_lately:,}" for each in refusing[:5])
        found.append(("FILTER_REFUSED", f"not sent within the last hour: {texts}"))
    return tuple(StreamoutAlarm(code, message, WHAT_TO_DO[code]) for code, message in found)


def _filters(filters: Sequence[FilterStatus], one: str, more: str) -> str:
    return f"1 filter {one}" if len(filters) == 1 else f"{len(filters)} filters {more}"
