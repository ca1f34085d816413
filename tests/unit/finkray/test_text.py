from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finkray.text import (
    bytes_text,
    count_text,
    duration_text,
    rate_text,
    share_text,
    time_text,
    visible_text,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0409, "41 ms"),
        (0.9996, "1.0 s"),
        (1.25, "1.2 s"),
        (9.96, "10 s"),
        (59.6, "1 min 0 s"),
        (3599.7, "1 h 0 min"),
        (15120, "4 h 12 min"),
        (86400 * 2 + 3 * 3600, "2 d 3 h"),
        (-0.2, "-200 ms"),
        (float("inf"), "-"),
        (float("nan"), "-"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1024, "1.00 KiB"),
        (512 * 2**20, "512 MiB"),
        (1.25 * 2**30, "1.25 GiB"),
        (2**70, "1048576 PiB"),
    ],
)
def test_sizes(size: float, text: str) -> None:
    assert bytes_text(size) == text


def test_counts_have_groups_of_three_digits_and_rates_significant_digits() -> None:
    assert count_text(1234567) == "1\u2009234\u2009567"
    assert [rate_text(rate) for rate in (0, 0.42, 12.4, 3045.6)] == [
        "0",
        "0.4",
        "12",
        "3\u2009046",
    ]


def test_times_are_in_utc_whatever_their_zone() -> None:
    chile = timezone(timedelta(hours=-3))
    assert time_text(datetime(2026, 11, 24, 0, 12, 45, tzinfo=chile)) == "2026-11-24 03:12:45 UTC"


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 10, "0 %"),
        (10, 10, "100 %"),
        (1, 8, "12 %"),
        (1, 30, "3.3 %"),
        (1, 100_000, "< 0.1 %"),
        (99_999, 100_000, "99.9 %"),
        (0, 0, "-"),
    ],
)
def test_shares_show_0_and_100_percent_only_if_exact(part: int, whole: int, text: str) -> None:
    assert share_text(part, whole) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("an ordinary text, 12\u2009345 µm, 星", "an ordinary text, 12\u2009345 µm, 星"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\nfinkray: all is well\r\t", r"a\nfinkray: all is well\r\t"),
        ("\u202etxt.exe\u2066\u200b\u2028\x9b", r"\u202etxt.exe\u2066\u200b\u2028\x9b"),
        ("\udc80\U000e0001", r"\udc80\U000e0001"),
    ],
)
def test_foreign_text_is_shown_on_one_line_without_control_characters(
    text: str, shown: str
) -> None:
    assert visible_text(text) == shown


@given(st.text(st.characters()))
def test_whatever_is_shown_can_be_printed_and_has_one_line(text: str) -> None:
    shown = visible_text(text)
    shown.encode()
    assert len(shown.splitlines()) <= 1
    assert not any(ord(char) < 32 or char in "\x7f\x9b\u202e" for char in shown)
