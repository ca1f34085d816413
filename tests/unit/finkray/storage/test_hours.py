"""Spans of time from their text."""

import pytest

from finkray.storage.hours import span_between, span_of, utc


def test_a_span_goes_from_one_moment_to_a_later_one() -> None:
    span = span_between("2026-11-24", "2026-11-24T01")
    assert (span.start, span.end) == (utc("2026-11-24T00:00"), utc("2026-11-24T01:00"))


@pytest.mark.parametrize("ends", ["2026-11-24", "2026-11-23T12:00"])
def test_a_span_that_ends_before_it_begins_is_refused(ends: str) -> None:
    with pytest.raises(ValueError, match=f"{ends} is not after 2026-11-24"):
        span_between("2026-11-24", ends)


@pytest.mark.parametrize("text", ["9999-12-31", "9999-12-31T23", "0001-01-01T00:00+14:00"])
def test_a_moment_that_no_python_has_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="in the years 1 to 9999"):
        span_of(text)
