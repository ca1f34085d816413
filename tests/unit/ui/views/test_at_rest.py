"""The banner of an archive that does not report."""

from datetime import UTC, datetime, timedelta

import pytest

from finkray.status.at_rest import ArchiveAtRest, ArchiveState
from ui.views.at_rest import at_rest_banner

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def test_an_archive_that_was_never_started_has_no_times() -> None:
    banner = at_rest_banner(ArchiveAtRest("never_started"), NOW)
    assert (banner.level, banner.headline) == ("quiet", "never started")
    assert banner.details == ("start it with: finkray start archive",)


@pytest.mark.parametrize(("state", "level"), [("stopped", "quiet"), ("died", "bad")])
def test_stopped_and_died_are_told_apart_with_times_and_what_to_do(
    state: ArchiveState, level: str
) -> None:
    seen = NOW - timedelta(hours=2)
    found = ArchiveAtRest(
        state, seen, "process 7 on host-a", seen - timedelta(seconds=9), 12_345, 6
    )
    banner = at_rest_banner(found, NOW)
    assert banner.level == level
    assert banner.headline.startswith(state)
    assert "finkray start archive" in banner.details[0]
    assert banner.details[1:] == (
        "process 7 on host-a, last seen 2026-11-24 01:00:00 UTC (2 h 0 min ago)",
        "last claim durable 2026-11-24 00:59:51 UTC (2 h 0 min ago)",
        "12\u2009345 alerts archived, 6 dead letters",
    )


def test_a_ledger_that_a_start_refuses_is_told_and_nothing_is_counted_from_it() -> None:
    found = ArchiveAtRest("stopped", NOW, "process 7 on host-a", problem="the ledger is lost")
    banner = at_rest_banner(found, NOW)
    assert (banner.level, banner.headline) == ("bad", "stopped, and cannot start")
    assert banner.details[0] == "the ledger is lost"
    assert "archived" not in " ".join(banner.details)
