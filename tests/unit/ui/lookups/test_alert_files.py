"""The hour in which an alert is looked for, from the time that an address names."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from finkray.storage.hours import HOUR, Span
from ui.lookups.alert_files import hour_of

BEGINS = datetime(2026, 11, 24, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 11, 24, 1, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 11, 24, 1, 30),  # noqa: DTZ001 - without a zone it is UTC
        datetime(2026, 11, 24, 7, 15, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    ],
)
def test_the_hour_is_that_of_utc(at: datetime) -> None:
    assert hour_of(at) == Span(BEGINS, BEGINS + HOUR)


def test_a_time_that_is_not_known_means_all_hours() -> None:
    assert hour_of(None) == Span()


@pytest.mark.parametrize(
    "at",
    [
        datetime(9999, 12, 31, 23, 30, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    ],
)
def test_an_hour_that_no_python_has_is_refused(at: datetime) -> None:
    with pytest.raises(ValueError, match="in the years 1 to 9999"):
        hour_of(at)
