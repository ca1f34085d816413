"""The banner of an archive that does not report, from what its folder tells."""

from datetime import datetime
from typing import Final

from finkray.status.at_rest import ArchiveAtRest, ArchiveState
from finkray.text import count_text, duration_text, time_text
from ui.kit.elements import Banner, Level

_HEADLINES: Final[dict[ArchiveState, tuple[Level, str, str]]] = {
    "never_started": ("quiet", "never started", "start it with: finkray start archive"),
    "stopped": ("quiet", "stopped", "start it with: finkray start archive"),
    "died": (
        "bad",
        "died: its process ended, or is silent, and nobody stopped it",
        "no alert is lost. finkray logs archive shows why; finkray start archive starts it again",
    ),
    "runs": ("warn", "runs, and does not report to this Ray", "ask the Ray that it runs on"),
}


def at_rest_banner(found: ArchiveAtRest, now: datetime) -> Banner:
    """Return whether the archive was never started, stopped or died, since when, and what to do."""
    level, headline, what_to_do = _HEADLINES[found.state]
    if found.problem:
        level, headline, what_to_do = "bad", f"{found.state}, and cannot start", found.problem
    details = [what_to_do]
    if found.heartbeat_at is not None:
        details.append(f"{found.holder}, last seen {_ago(found.heartbeat_at, now)}")
    if found.durable_at is not None:
        details.append(f"last claim durable {_ago(found.durable_at, now)}")
    if found.state != "never_started" and not found.problem:  # else the counts are not known
        counts = f"{count_text(found.archived)} alerts archived"
        details.append(f"{counts}, {count_text(found.dead_lettered)} dead letters")
    return Banner(level, headline, tuple(details), old=True)


def _ago(moment: datetime, now: datetime) -> str:
    return f"{time_text(moment)} ({duration_text((now - moment).total_seconds())} ago)"
