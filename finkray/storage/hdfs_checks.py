"""Check of HDFS, beyond the checks of every store, how much room its quotas leave."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from finkray.errors import StorageError
from finkray.storage.contract import Storage, StorageCheck
from finkray.storage.store_checks import StoreWords, check_store
from finkray.text import bytes_text, count_text

_UNBOUNDED: Final = 1 << 63
"""The library shows a missing quota as -1 of 64 bits without a sign."""

_REPLICAS: Final = 3
"""HDFS counts each replica in a quota; it has three of a block unless it is told otherwise."""

_NAMES: Final = 10_000
"""Fewest further files that the quotas must allow: a night has some thousand."""

_WORDS: Final = StoreWords(
    publication="rename",
    publications="renames",
    ignored="two archives would both commit: HDFS refuses this, so look what answers there",
    racy="two archives could both commit: HDFS does not allow this, so look what answers there",
)


class Room(NamedTuple):
    """What the quotas of a folder leave; None is without bound.

    Attributes
    ----------
    names
        more files and folders
    replica_bytes
        more bytes, of all replicas
    """

    names: int | None
    replica_bytes: int | None

    @classmethod
    def of(cls, names_quota: int, names: int, bytes_quota: int, replica_bytes: int) -> "Room":
        """Return the rest of the two quotas. Pure."""
        return cls(
            None if names_quota >= _UNBOUNDED else names_quota - names,
            None if bytes_quota >= _UNBOUNDED else bytes_quota - replica_bytes,
        )


def check_hdfs(
    storage: Storage, room: Callable[[], Room], needed_bytes: int
) -> Iterator[StorageCheck]:
    """Check HDFS; see `Storage.checks`.

    Parameters
    ----------
    storage
        where an archive is to lie
    room
        returns what its quotas leave
    needed_bytes
        how much must fit at least
    """
    return check_store(storage, _WORDS, [("space", lambda _: space(room(), needed_bytes))])


def space(room: Room, needed_bytes: int) -> str:
    """Return how much room the quotas leave. Pure.

    Raises
    ------
    StorageError
        if it is too little
    """
    if room.names is not None and room.names < _NAMES:
        raise StorageError(
            f"the quota of names leaves {count_text(max(0, room.names))} files and folders, and an "
            f"archive needs at least {count_text(_NAMES)}: raise it (hdfs dfsadmin -setQuota)"
        )
    if room.replica_bytes is not None and room.replica_bytes < needed_bytes * _REPLICAS:
        raise StorageError(
            f"the space quota leaves {bytes_text(max(0, room.replica_bytes))}, and {_REPLICAS} "
            f"replicas of {bytes_text(needed_bytes)} must fit: raise it (hdfs dfsadmin "
            "-setSpaceQuota)"
        )
    if room.replica_bytes is None:
        return "the folder has no space quota; ask the cluster itself how much is free"
    return f"the space quota leaves {bytes_text(room.replica_bytes)}, replicas counted"
