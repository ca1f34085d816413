"""Check the clock of an object store, beyond the checks of every store."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from finkray.errors import StorageError
from finkray.storage.contract import Storage, StorageCheck
from finkray.storage.store_checks import StoreWords, check_store

CLOCK_TOLERANCE_S: Final = 300
"""S3 refuses a signature if its time differs by 900 s from the store's clock."""

_WORDS: Final = StoreWords(
    publication="publication",
    publications="publications",
    ignored="the store ignores If-None-Match, so two archives would both commit: update the store, "
    "or use one that has conditional writes",
    racy="the store looks first and writes then, so two archives could both commit: update the "
    "store, or use one whose conditional writes are atomic",
)


def check_object_store(
    storage: Storage, written_at: Callable[[str], datetime | None]
) -> Iterator[StorageCheck]:
    """Check an object store; see `Storage.checks`.

    Parameters
    ----------
    storage
        where an archive is to lie
    written_at
        returns when a path was written, by the store's clock; None if it does not exist
    """

    def clock(folder: str) -> str:
        return _clock(storage, f"{folder}/clock", written_at)

    return check_store(storage, _WORDS, [("clock", clock)])


def _clock(storage: Storage, path: str, written_at: Callable[[str], datetime | None]) -> str:
    storage.replace(path, b"1")
    stamp = written_at(path)
    if stamp is None:
        raise StorageError(f"{storage.uri}/{path} was written and is not there: use another store")
    apart_s = abs((datetime.now(UTC) - stamp).total_seconds())
    if apart_s > CLOCK_TOLERANCE_S:
        raise StorageError(
            f"this machine's clock differs by {apart_s:.0f} s from the store's, which refuses "
            "requests from 900 s on: set the clock (chrony or systemd-timesyncd)"
        )
    return f"differs by less than {max(1, round(apart_s)) + 1} s from the store's"
