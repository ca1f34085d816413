"""The HATS nights and the object index of an archive, for `finkray status`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from catalogs.nights.progress import NightsProgress, read_nights_progress
from finkray.errors import FinkrayError
from finkray.index.lag import IndexLag, read_index_lag
from finkray.storage.contract import Storage
from finkray.text import count_text, duration_text, time_text
from jobs.daemons.hats import HATS
from jobs.daemons.index import INDEX
from jobs.daemons.last_look import last_problem

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """The HATS nights and the object index of an archive.

    Attributes
    ----------
    nights, index
        None if there are none yet, or if they cannot be read
    nights_error, index_error
        why they cannot be read, else what last failed in their daemon; "" is nothing
    """

    nights: NightsProgress | None = None
    index: IndexLag | None = None
    nights_error: str = ""
    index_error: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the keys `hats` and `index` of `finkray status --json`."""
        return {
            "hats": _with_error(self.nights, self.nights_error),
            "index": _with_error(self.index, self.index_error),
        }


def read_store_status(storage: Storage, state: Path) -> StoreStatus:
    """Return how nights and index are; what cannot be read is an error in it.

    Parameters
    ----------
    storage
        of the archive
    state
        the state folder, in which the daemons record what failed
    """
    now = datetime.now(UTC)
    nights, nights_error = _read(lambda: read_nights_progress(storage, now))
    index, index_error = _read(lambda: read_index_lag(storage, now))
    return StoreStatus(
        nights,
        index,
        nights_error or last_problem(state, HATS.name),
        index_error or last_problem(state, INDEX.name),
    )


def store_lines(status: StoreStatus, now: datetime) -> list[str]:
    """Return a line about the nights and one about the index; none about what is not used."""
    lines = []
    if status.nights is not None or status.nights_error:
        lines.append(_line("hats", _nights_text(status.nights, now), status.nights_error))
    if status.index is not None or status.index_error:
        lines.append(_line("index", _index_text(status.index), status.index_error))
    return lines


def _nights_text(nights: NightsProgress | None, now: datetime) -> str:
    if nights is None:
        return ""
    if nights.last is None or nights.last_night is None:
        text = "no night is built"
    else:
        ago = duration_text((now - nights.last.built_at).total_seconds())
        text = (
            f"last night {nights.last_night} of {nights.last_survey}, generation "
            f"{nights.last.generation}, {count_text(nights.last.alerts)} alerts, built "
            f"{time_text(nights.last.built_at)} ({ago} ago)"
        )
    if nights.waiting:
        several = (
            f"{len(nights.waiting)} nights wait, the first" if nights.waiting[1:] else "waits:"
        )
        text += f"; {several} {nights.waiting[0]}"
    return text


def _index_text(index: IndexLag | None) -> str:
    if index is None:
        return ""
    text = f"{count_text(index.alerts)} alerts in {index.runs} runs, "
    if index.claims_behind:
        text += (
            f"{count_text(index.claims_behind)} claims with {count_text(index.alerts_behind)} "
            f"alerts and {duration_text(index.behind_s)} behind the ledger"
        )
    else:
        text += "up to date"
    if index.skipped_files:
        text += f"; {count_text(index.skipped_files)} files cannot be read"
    return text


def _line(name: str, text: str, error: str) -> str:
    return f"{name}: " + "; ".join(part for part in (text, error and f"failed: {error}") if part)


def _read(read: Callable[[], T | None]) -> tuple[T | None, str]:
    try:
        return read(), ""
    except FinkrayError as error:
        return None, str(error)


def _with_error(found: NightsProgress | IndexLag | None, error: str) -> dict[str, Any] | None:
    if found is None and not error:
        return None
    return {**({} if found is None else found.to_json()), "error": error or None}
