"""Calendar, disk, audit and dead letters of the page Archive, from recorded facts."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from finkray.status.last_audit import LastAudit
from ui.lookups.records import Amount, Letter, NightsRecord, night_of
from ui.views.nights_html import (
    calendar_html,
    figures,
    letter_html,
    letter_name,
    parse_letter_name,
)

NOW = datetime(2026, 11, 29, 4, tzinfo=UTC)
NIGHTS = (
    (date(2026, 11, 28), Amount(200_000, 8 << 30, 40, 0)),
    (date(2026, 11, 27), Amount(100, 1 << 20, 3, 7)),
)
RECORD = NightsRecord(NIGHTS, (), 80 << 30, float(8 << 30), (("undecodable", 7),))
AUDIT = LastAudit(
    at=NOW - timedelta(hours=3),
    balanced=True,
    archived=9,
    dead_lettered=0,
    difference=0,
    findings=0,
)


def figure(
    label: str, record: NightsRecord = RECORD, audit: LastAudit | None = AUDIT
) -> tuple[str, str]:
    (found,) = (each for each in figures(record, audit, NOW) if each.label == label)
    return found.value, found.level


def test_a_night_of_either_telescope_is_one_night() -> None:
    palomar = [datetime(2026, 11, 29, hour, tzinfo=UTC) for hour in (2, 13)]
    rubin = [datetime(2026, 11, 28, 23, tzinfo=UTC), datetime(2026, 11, 29, 10, tzinfo=UTC)]
    assert {night_of(at) for at in (*palomar, *rubin)} == {date(2026, 11, 28)}


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, ("10 nights", "quiet")),
        ({"free_bytes": 8 << 30}, ("1 night", "bad")),
        ({"bytes_a_night": 0.0}, ("unknown", "quiet")),
    ],
)
def test_the_disk_lasts_as_many_nights_as_fit(
    changes: dict[str, float], shown: tuple[str, str]
) -> None:
    assert figure("disk lasts", replace(RECORD, **changes)) == shown  # type: ignore[arg-type]
    assert figure("disk", replace(RECORD, free_bytes=None))[0] == "not bounded"


def test_an_audit_is_shown_with_its_age_and_never_taken_for_good() -> None:
    assert figure("last audit") == ("balanced", "good")
    assert figure("last audit", audit=None) == ("unknown", "warn")
    old = AUDIT.model_copy(update={"at": NOW - timedelta(days=3)})
    assert figure("last audit", audit=old) == ("balanced", "warn")
    wrong = AUDIT.model_copy(update={"balanced": False, "difference": 3})
    assert figure("last audit", audit=wrong) == ("not balanced", "bad")


def test_each_night_of_the_calendar_is_a_link_and_darker_with_more_alerts() -> None:
    drawn = calendar_html(NIGHTS, date(2026, 11, 28))
    assert drawn.count("<a ") == 2
    assert drawn.count("<span class='fr-day'>") == 28
    assert "fr-shade4' href='archive?night=2026-11-28'" in drawn
    assert "fr-shade2 fr-dead' href='archive?night=2026-11-27'" in drawn
    assert "no alert yet" in calendar_html((), None)


def test_a_dead_letter_has_an_address_and_shows_its_bytes() -> None:
    letter = Letter("ztf:<b>", 3, 77, NOW, "undecodable", "<script>", 5, ("00000000  3c",))
    assert parse_letter_name(letter_name(letter)) == ("ztf:<b>", 3, 77)
    for malformed in ("", "1:2:", "x:1:ztf", "1:-1:ztf", "1:" + "9" * 30 + ":ztf", "²:1:ztf"):
        assert parse_letter_name(malformed) is None
    assert "<script>" not in letter_html(letter)
    assert "00000000  3c" in letter_html(letter)
