"""The last answer of a source, and what a page says when the source does not answer."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from finkray.text import duration_text
from ui.kit.elements import Banner

T = TypeVar("T")

STALE_AFTER_S = 15.0
"""Age of a snapshot from which on a page doubts it: a healthy job writes one each second or two."""


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """The last answer of a source.

    Attributes
    ----------
    value
        What the source returned; after a failure, what it returned last.
    read_at
        Time of the last attempt that ended.
    problem
        Why the last attempt failed; None if it succeeded.
    """

    value: T | None
    read_at: datetime
    problem: str | None = None


def failure_banner(
    reading: Reading[T], now: datetime, what: str, last_report: tuple[str, ...] = ()
) -> Banner | None:
    """Return the banner for a source that hangs or fails; None if the source is well.

    Parameters
    ----------
    reading
        The last answer.
    now
        The time.
    what
        What is read, with its article: "the status".
    last_report
        What was known last, for the banner's details.
    """
    silence_s = (now - reading.read_at).total_seconds()
    if silence_s > STALE_AFTER_S:
        headline = f"no answer for {duration_text(silence_s)}"
        waiting = f"the page still waits for {what}"
        return Banner("bad", headline, (waiting, *last_report), old=True)
    if reading.problem is not None:
        return Banner("bad", f"cannot read {what}", (reading.problem, *last_report), old=True)
    return None
