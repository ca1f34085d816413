"""The lease: one archive at a time on a folder, and a clear refusal of a second one.

It keeps two archives from starting by accident; safety does not depend on it. A process that
sleeps through its lease and wakes up is stopped by the ledger's fence (`finkray.ledger.log`),
regardless of clocks and leases.

The lease is `ledger/lease.json`, format 1::

    {"format": 1, "token": "5e…", "epoch": 3, "holder": {"host": …, "boot_id": …,
     "pid_namespace": …, "pid": …, "started": …}, "since": "2026-11-24T01:02:03Z",
     "heartbeat": "2026-11-24T09:02:03Z", "ttl_s": 15.0, "released": false}

`token` is a random token of one run of an archive, `epoch` the epoch of its ledger.

Clocks may jump, and differ between machines: times only raise the suspicion that a holder is
gone. Before its lease is taken, the lease is watched for a while; a heartbeat in that time
proves the holder alive.
"""

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from finkray.errors import ArchiveHeld, LedgerCorrupt, StorageError
from finkray.host.process_id import ProcessId
from finkray.host.time_limit import returns_within
from finkray.storage.contract import Storage
from finkray.text import error_text

LEASE_PATH = "ledger/lease.json"
FORMAT = 1

HEARTBEATS_PER_TTL = 5
"""A holder may miss four heartbeats, because of a slow disk for instance, before it is stale."""

RELEASE_S = 5.0
"""How long the release of a lease may take: milliseconds, or as long as one request of an object
store. A read of a network file system whose server hangs lasts as long as that does."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """The content of the lease file; the module documents the fields."""

    token: str
    epoch: int
    holder: ProcessId
    since: datetime
    heartbeat: datetime
    ttl_s: float
    released: bool = False

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        raw = {"format": FORMAT} | asdict(self)
        return json.dumps(raw, default=datetime.isoformat, indent=1).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> "LeaseRecord":
        """Parse what `to_bytes` returned.

        Raises
        ------
        LedgerCorrupt
            if it is no lease, or of a later format
        """
        try:
            raw = json.loads(data)
            if raw.pop("format") != FORMAT:
                raise LedgerCorrupt(f"{LEASE_PATH} was written by a later version of finkray")
            raw["holder"] = ProcessId(**raw["holder"])
            raw["since"] = datetime.fromisoformat(raw["since"])
            raw["heartbeat"] = datetime.fromisoformat(raw["heartbeat"])
            return cls(**raw)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LedgerCorrupt(
                f"{LEASE_PATH} is not a lease ({error}): delete it when no archive runs here"
            ) from error


@dataclass(frozen=True, slots=True)
class Free:
    """No process holds the lease."""


@dataclass(frozen=True, slots=True)
class Dead:
    """The holder's process has ended: take the lease over at once."""


@dataclass(frozen=True, slots=True)
class Held:
    """The holder is alive."""

    by: ProcessId
    since: datetime


@dataclass(frozen=True, slots=True)
class Stale:
    """The holder's heartbeat is too old: watch the lease, then take it over."""

    by: ProcessId


LeaseState = Free | Dead | Held | Stale


def lease_state(
    lease: LeaseRecord | None,
    me: ProcessId,
    now: datetime,
    is_running: Callable[[ProcessId], bool] = ProcessId.is_running,
) -> LeaseState:
    """Decide whether the lease is held, and how it may be taken. Pure.

    Parameters
    ----------
    lease
        the content of the file; None if there is no file
    me
        the process that asks
    now
        the time on this machine, UTC
    is_running
        tells whether a process of this machine runs
    """
    if lease is None or lease.released:
        return Free()
    holder = lease.holder
    if holder.can_see(me) and not is_running(holder):
        return Dead()
    # A heartbeat in the future is as suspicious as an old one: one of the clocks is wrong.
    if abs(now - lease.heartbeat) > timedelta(seconds=lease.ttl_s):
        return Stale(holder)
    return Held(holder, lease.since)


def refuse_if_held(storage: Storage) -> None:
    """Check that no archive visibly holds the lease, without taking it.

    A stale lease passes: it takes a while to find out whether its holder sleeps (`Lease.acquire`).

    Raises
    ------
    ArchiveHeld
        if another archive is alive; the message says which and what to do
    StorageError
        if the storage refuses
    """
    found_state = lease_state(read_lease(storage), ProcessId.mine(), datetime.now(UTC))
    if isinstance(found_state, Held):
        raise _held(found_state)


class Lease:
    """A lease that this process holds, created by `acquire`; a thread renews it. A context manager.

    When `lost` is set, another archive holds the folder, and this one must stop. It is set late
    if the process or its disk was suspended; until then the ledger's fence keeps it out.
    """

    def __init__(self, storage: Storage, record: LeaseRecord) -> None:
        self._storage = storage
        self._record = record
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._lost = threading.Event()
        self._given_up = threading.Event()
        self._renewed_s = time.monotonic()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()

    @classmethod
    def acquire(cls, storage: Storage, ttl_s: float) -> "Lease":
        """Take the lease.

        If several processes try at the same time, usually one succeeds; if two do, the ledger's
        epochs decide, and the other finds its lease `lost`.

        Parameters
        ----------
        storage
            of the archive
        ttl_s
            seconds without a heartbeat after which a holder counts as dead

        Raises
        ------
        ArchiveHeld
            if another archive is alive; the message says which and what to do
        StorageError
            if the storage refuses
        """
        me = ProcessId.mine()
        before = read_lease(storage)
        found_state = lease_state(before, me, datetime.now(UTC))
        if isinstance(found_state, Stale) and before is not None:
            # One and a half heartbeats: long enough for a holder whose clock differs.
            time.sleep(1.5 * before.ttl_s / HEARTBEATS_PER_TTL)
            if read_lease(storage) != before:
                found_state = Held(before.holder, before.since)
        if isinstance(found_state, Held):
            raise _held(found_state)
        if not isinstance(found_state, Free) and before is not None:
            reason = "lease ran out" if isinstance(found_state, Stale) else "it has ended"
            log.warning("taking the archive over from %s: %s", before.holder, reason)
        now = datetime.now(UTC)
        epoch = 0 if before is None else before.epoch + 1
        record = LeaseRecord(secrets.token_hex(8), epoch, me, now, now, ttl_s)
        if before is None:
            if not storage.create(LEASE_PATH, record.to_bytes()):
                raise ArchiveHeld("another archive has just taken this folder")
        else:
            storage.replace(LEASE_PATH, record.to_bytes())
        return cls(storage, record)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    @property
    def lost(self) -> bool:
        """Whether another archive holds the lease: this one must stop."""
        return self._lost.is_set()

    def silent_s(self, monotonic_s: float) -> float:
        """Return the seconds since the last renewal, by the monotonic clock."""
        return monotonic_s - self._renewed_s

    @property
    def record(self) -> LeaseRecord:
        """The record that was written last."""
        return self._record

    def describe(self) -> Mapping[str, Any]:
        """Return the holder, for the ledger."""
        return self._record.holder.to_json()

    def begin_epoch(self, epoch: int) -> None:
        """Record the epoch that the ledger assigned: of two holders the later one is valid."""
        with self._lock:
            self._record = replace(self._record, epoch=epoch)
        self.renew()

    def renew(self) -> None:
        """Write a heartbeat, unless another process holds the lease: then set `lost`.

        Raises
        ------
        StorageError
            if the storage refuses, or the lease is gone with its folder
        """
        with self._lock:
            stored = read_lease(self._storage)
            if stored is None:
                # It is never deleted while an archive runs. Written again, it would stand below the
                # mount point of a disk that was unmounted.
                raise StorageError(
                    f"{LEASE_PATH} is gone: the folder was deleted or its disk was unmounted; "
                    "mount it again"
                )
            # A lease of an earlier epoch was written by a zombie that has not read it yet.
            if stored.token != self._record.token and stored.epoch >= self._record.epoch:
                log.error("lease of the archive lost to %s", stored.holder)
                self._lost.set()
                return
            record = replace(self._record, heartbeat=datetime.now(UTC))
            self._storage.replace(LEASE_PATH, record.to_bytes())
            self._record = record
            self._renewed_s = time.monotonic()

    def release(self) -> None:
        """Release the lease, so that the next archive need not wait. The file keeps the epoch.

        A storage that does not answer within `RELEASE_S` does not keep the process from its end.
        """
        self._closing.set()
        try:
            if returns_within(self._write_release, RELEASE_S):
                return
            self._given_up.set()
            reason = f"the storage has not answered for {RELEASE_S:g} s"
        except (StorageError, LedgerCorrupt) as error:
            reason = str(error)
        # The next archive on this machine sees that the process has ended.
        log.warning("lease of the archive not released: %s", reason)

    def _write_release(self) -> None:
        self._thread.join()
        stored = read_lease(self._storage)
        if stored is None or stored.token != self._record.token:
            return
        # What was given up must not overwrite the lease of another archive later.
        if not self._given_up.is_set():
            self._storage.replace(LEASE_PATH, replace(stored, released=True).to_bytes())

    def _beat(self) -> None:
        failing = False
        while not self._closing.wait(self._record.ttl_s / HEARTBEATS_PER_TTL) and not self.lost:
            try:
                self.renew()
            except Exception as error:  # noqa: BLE001 - without its heartbeat a holder counts as dead
                # A full disk is no reason to stop: no other process can take the lease either.
                if not failing:
                    log.warning("lease of the archive not renewed: %s", error_text(error))
                failing = True
            else:
                failing = False


def read_lease(storage: Storage) -> LeaseRecord | None:
    """Return the lease of an archive; None if it never had one.

    Raises
    ------
    LedgerCorrupt
        if the file is no lease
    StorageError
        if the storage refuses
    """
    data = storage.read(LEASE_PATH)
    return None if data is None else LeaseRecord.from_bytes(data)


def _held(state: Held) -> ArchiveHeld:
    holder = state.by
    return ArchiveHeld(
        f"the archive is held by {holder} since {state.since:%Y-%m-%d %H:%M:%S} UTC: stop it "
        "with `finkray stop archive`, or wait until it has ended"
    )
