"""The three questions of the person on shift, for each fault, on the page and in `finkray status`.

Is the night well? Since when not? What do I do? The facts are those that the faults leave;
tests in tests/integration cause most of them and ask both (`tests.support.shift`).
"""

import html
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from rich.console import Console

from finkray.monitor.alarm_rules import DriverTroubles, Facts, alarms_of
from finkray.monitor.alarms import WHAT_TO_DO
from finkray.status.archive import Alarm, Snapshot
from finkray.status.at_rest import ArchiveAtRest
from finkray.status.service import ServiceSnapshot
from jobs.cluster.started_jobs import StartedJob, UnexpectedEnd
from jobs.cluster.unexpected_ends import EndedJob, ended_cards
from jobs.commands.render_status import status_text
from tests.support.classified import service
from tests.support.snapshots import NIGHT, busy_night
from ui.kit.reading import Reading
from ui.pages.live import head_html
from ui.views.services import service_cards

SINCE = NIGHT - timedelta(minutes=7)
SINCE_TEXT = "2026-11-24 03:05:45 UTC"
NOW = NIGHT + timedelta(seconds=2)


def with_alarm(facts: Facts) -> Snapshot:
    """Return a snapshot with the one alarm that facts raise."""
    ((code, message),) = alarms_of(facts).items()
    alarm = Alarm(code=code, since=SINCE, message=message, what_to_do=WHAT_TO_DO[code])
    return busy_night(alarms=(alarm,))


def ended(name: str, reason: str) -> EndedJob:
    """Return a job that ended without being stopped."""
    job = StartedJob(name=name, job_id=f"{name}-1", started_at=NIGHT - timedelta(hours=3))
    return EndedJob(job, UnexpectedEnd(at=SINCE, reason=reason))


@dataclass(frozen=True)
class Fault:
    """What a fault leaves, and what must be shown of it."""

    word: str
    what_to_do: str
    snapshot: Snapshot | None = None
    at_rest: ArchiveAtRest | None = None
    ended: tuple[EndedJob, ...] = field(default=())
    services: tuple[ServiceSnapshot, ...] = field(default=())


FAULTS = {
    "Kafka is away": Fault(
        "no broker answers",
        "Is Kafka up",
        with_alarm(Facts(troubles=DriverTroubles(kafka="no broker answers"))),
    ),
    "the archive was killed": Fault(
        "died",
        "finkray start archive",
        busy_night(SINCE),
        ArchiveAtRest("died", SINCE, "process 7 on host-a", SINCE, 12_345, 6),
    ),
    "Ray was killed": Fault(
        "the local Ray ended",
        "finkray start archive",
        None,
        ArchiveAtRest("died", SINCE, "process 7 on host-a", SINCE, 12_345, 6),
        (ended("archive", "the local Ray ended: raylet"),),
    ),
    "the disk is nearly full": Fault(
        "1.0 GiB are free",
        "Free space on the archive's disk",
        with_alarm(Facts(free_bytes=2**30, low_disk_bytes=2**31)),
    ),
    "the disk is full": Fault(
        "No space left on device",
        "Free space on the archive's disk",
        with_alarm(Facts(troubles=DriverTroubles(storage="[Errno 28] No space left on device"))),
    ),
    "the folder vanished": Fault(
        "the folder was deleted or its disk was unmounted",
        "make it writable",
        with_alarm(
            Facts(
                troubles=DriverTroubles(storage="the folder was deleted or its disk was unmounted")
            )
        ),
    ),
    "a service failed": Fault(
        "classify",
        "finkray logs classify",
        busy_night(),
        None,
        (ended("classify", "FAILED: column 'x' is missing"),),
    ),
    "a service pauses": Fault(
        "classify is paused: raised: no sky",
        "finkray service check actors.classify:Classify",
        busy_night(),
        services=(service(breaker="open", breaker_since=SINCE, last_fault="raised: no sky"),),
    ),
    "a service hangs": Fault(
        "classify does not report",
        "finkray logs classify",
        busy_night(),
        services=(service(SINCE),),
    ),
    "the archive hangs": Fault(
        "no report from the archive", "finkray logs archive", busy_night(SINCE)
    ),
    "the ledger is lost": Fault(
        "stopped, and cannot start",
        "Restore the newest ledger",
        None,
        ArchiveAtRest("stopped", SINCE, "process 7 on host-a", problem="Restore the newest ledger"),
    ),
}


def on_the_page(fault: Fault) -> str:
    """Return the text at the top of the page Live."""
    cards = (*ended_cards(list(fault.ended)), *service_cards(fault.services, NOW))
    drawn = head_html(Reading(fault.snapshot, NOW), NOW, fault.at_rest, cards)
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", drawn)).split())


def on_the_terminal(fault: Fault) -> str:
    """Return the first 20 lines of `finkray status` in a terminal of 100 columns."""
    console = Console(file=io.StringIO(), width=100)
    shown = status_text(
        None,
        (),
        fault.snapshot,
        NOW,
        fault.services,
        ended=list(fault.ended),
        at_rest=fault.at_rest,
    )
    console.print(shown)
    lines = console.file.getvalue().splitlines()[:20]  # type: ignore[attr-defined]
    return " ".join(" ".join(lines).split())


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("show", [on_the_page, on_the_terminal], ids=["page", "terminal"])
def test_what_is_wrong_since_when_and_what_to_do_stand_at_the_top(
    name: str, show: Callable[[Fault], str]
) -> None:
    fault = FAULTS[name]
    shown = show(fault)
    assert fault.word in shown
    assert SINCE_TEXT in shown
    assert fault.what_to_do in shown


def test_a_good_night_is_said_to_be_one() -> None:
    good = Fault("", "", busy_night())
    for show in (on_the_page, on_the_terminal):
        shown = show(good)
        assert "running" in shown
        assert not re.search("ALARM|died|ended", shown)
