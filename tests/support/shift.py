"""What a person on shift is told of an archive under test: by `finkray status` and by the page."""

import html
import re
from datetime import UTC, datetime

from finkray.errors import LedgerCorrupt, StorageError
from finkray.monitor.alarms import WHAT_TO_DO
from finkray.status.archive import Snapshot
from finkray.status.at_rest import ArchiveAtRest
from finkray.storage.contract import Storage
from finkray.text import clipped, time_text
from jobs.daemons.page_facts import RestSource
from tests.support.archiving import ArchiveUnderTest
from ui.kit.elements import AlarmCard
from ui.kit.reading import Reading
from ui.pages.live import head_html

_SHOWN_OF_ADVICE = 100
"""Of several alarms `finkray status` shows no more of each."""


def told(archive: ArchiveUnderTest) -> dict[str, str]:
    """Return what the command and the top of the page say now, each as words in one line."""
    done = archive.finkray("status")
    assert done.returncode == 0, done.stderr
    return {
        "finkray status": one_line(done.stdout),
        "page": page_head(archive.storage, archive.snapshot()),
    }


def page_head(
    storage: Storage, snapshot: Snapshot | None, ended: tuple[AlarmCard, ...] = ()
) -> str:
    """Return the words at the top of the page Live, made as the page makes them."""
    at_rest: ArchiveAtRest | None = None
    problem: str | None = None
    try:
        at_rest = RestSource(storage, lambda: snapshot).read()
    except (StorageError, LedgerCorrupt) as error:
        problem = f"{type(error).__name__}: {error}"
    now = datetime.now(UTC)
    drawn = head_html(Reading(snapshot, now), now, at_rest, ended, problem)
    return one_line(html.unescape(re.sub("<[^>]*>", " ", drawn)))


def one_line(text: str) -> str:
    """Return the words of a text, with one blank between them."""
    return " ".join(text.split())


def assert_alarm_is_told(archive: ArchiveUnderTest, code: str, *words: str) -> None:
    """Assert that both say that not all is well, since when, what it is, and what to do."""
    snapshot = archive.snapshot()
    assert snapshot is not None
    (since,) = [alarm.since for alarm in snapshot.alarms if alarm.code == code]
    advice = clipped(one_line(WHAT_TO_DO[code]), _SHOWN_OF_ADVICE).removesuffix("…")
    for name, text in told(archive).items():
        assert re.search(r"running, \d+ alarms?", text), (name, text)
        for expected in (code, f"since {time_text(since)}", advice, *words):
            assert expected in text, (name, expected, text)
