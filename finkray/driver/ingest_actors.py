"""Start the ingest actors, call them, and receive their reports."""

import functools
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finkray.claim import Claim
from finkray.errors import ClusterUnavailable, MemoryExceeded
from finkray.ingest.actor import IngestActor
from finkray.ingest.budget import Budget
from finkray.ingest.intake import CutLimits
from finkray.ingest.messages import (
    NOTHING_RECEIVED,
    Assignment,
    ClaimsReceived,
    IngestReport,
    ReadyClaim,
)
from finkray.ledger.identity import refuse_if_gone
from finkray.packets.decode import Decoder
from finkray.packets.decoder import make_decoder
from finkray.packets.table_schemas import TableSchemas
from finkray.settings.ingest import IngestSettings
from finkray.settings.model import Settings
from finkray.settings.packets import PacketSettings
from finkray.storage.opening import StorageLocation, absolute, open_storage

TAKE_S = 0.5
"""How long an actor waits for a claim before it answers with its report alone."""

SILENCE_S = 20.0
"""An actor that does not answer for this long is killed. It should answer after `TAKE_S`; decoding
the largest claim delays an answer by a second or two."""

FIRST_ANSWER_S = 120.0
"""Time limit for the first answer of a new actor. It first waits for its resources and loads its
modules: seconds, or a minute and more on a machine that starts Spark at the same time."""

DOWN_S = 180.0
"""An actor that is down for this long ends the driver. Ray restarts a killed actor within seconds,
on a busy machine within half a minute."""

DOWN_PAUSE_S = 0.2
"""Pause between two calls of an actor that is down, while Ray restarts it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ActorReport:
    """The answer of an actor: its new claims and its report."""

    actor: int
    claims: Sequence[ReadyClaim]
    report: IngestReport


@dataclass(frozen=True, slots=True)
class ActorOutOfMemory:
    """An actor took more memory than it may, and ended; `why` names what it read."""

    actor: int
    why: str


@dataclass(frozen=True, slots=True)
class ListenerFailed:
    """The thread that receives an actor's reports has ended with an error that is none of Ray's."""

    actor: int
    error: Exception


ActorEvent = ActorReport | ActorOutOfMemory | ListenerFailed


@dataclass(frozen=True, slots=True)
class SilentActor:
    """An actor that does not answer: since when on the monotonic clock, and Ray's reason."""

    since_s: float
    why: str


class IngestActors:
    """The ingest actors of one archive.

    Parameters
    ----------
    settings
        all settings
    epoch
        part of the actors' names, so that they differ from those of an older run
    archive_id
        the identity of the archive, which actors look for before they write an entry
    known_schemas
        schemas that were found before, by cluster and schema id
    on_event
        called with each `ActorEvent`, from one thread for each actor
    """

    def __init__(
        self,
        settings: Settings,
        epoch: int,
        archive_id: str,
        known_schemas: Mapping[tuple[str, int], str],
        on_event: Callable[[ActorEvent], None],
    ) -> None:
        ingest = settings.ingest
        budget = Budget.share(
            held_bytes=ingest.held_bytes,
            actors=ingest.actors,
            max_message_bytes=settings.kafka.max_message_bytes,
            limits=CutLimits(
                ingest.claim_bytes, ingest.claim_rows, ingest.linger_s, ingest.linger_max_s
            ),
        )
        decoder = functools.partial(
            _make_decoder,
            settings.packets,
            int(settings.kafka.max_message_bytes),
            known_schemas,
            absolute(settings.archive),
            archive_id,
        )
        self.budget = budget
        self.names = [f"finkray-ingest-{index}-epoch-{epoch}" for index in range(ingest.actors)]
        self._actors = [
            _remote_actor(ingest, name).remote(
                settings.kafka.client_config(),
                budget,
                decoder,
                int(settings.packets.dead_letter_bytes),
                unreadable_tries=settings.kafka.unreadable_tries,
                memory_bytes=ingest.actor_memory_bytes,
            )
            for name in self.names
        ]
        self._on_event = on_event
        self._closing = threading.Event()
        self.down: dict[int, SilentActor] = {}
        self._threads = [
            threading.Thread(target=self._listen, args=(i,), name=f"listen-{name}", daemon=True)
            for i, name in enumerate(self.names)
        ]
        for thread in self._threads:
            thread.start()

    def assign(self, actor: int, assignment: Assignment) -> None:
        """Let the actor read a lane."""
        self._actors[actor].assign.remote([assignment])

    def revoke(self, actor: int, source: Any) -> None:
        """Let the actor stop reading a partition."""
        self._actors[actor].revoke.remote([source])

    def drop(self, actor: int, claims: Sequence[Claim]) -> None:
        """Let the actor free the batches of these claims."""
        self._actors[actor].drop.remote(list(claims))

    def flush(self) -> None:
        """Let all actors cut claims of the messages in memory, and stop reading."""
        for actor in self._actors:
            actor.flush.remote()

    def check(self) -> None:
        """Check that no actor has been down for long.

        Raises
        ------
        ClusterUnavailable
            if an actor has been down for `DOWN_S`: Ray does not restart it
        """
        for index, down in dict(self.down).items():
            if time.monotonic() - down.since_s > DOWN_S:
                raise ClusterUnavailable(
                    f"{self.names[index]} has been down for {DOWN_S:.0f} s: {down.why}"
                )

    def close(self) -> None:
        """End the actors."""
        import ray

        self._closing.set()
        for actor in self._actors:
            ray.kill(actor)

    def _listen(self, index: int) -> None:
        try:
            self._receive(index)
        except Exception as error:  # noqa: BLE001 - the driver's loop raises it
            self._on_event(ListenerFailed(index, error))

    def _receive(self, index: int) -> None:
        import ray
        from ray.exceptions import GetTimeoutError, RayError

        actor = self._actors[index]
        timeout_s = FIRST_ANSWER_S
        received = NOTHING_RECEIVED
        while not self._closing.is_set():
            try:
                claims, report = ray.get(actor.take.remote(TAKE_S, received), timeout=timeout_s)
            except GetTimeoutError:
                self._restart(index, f"no answer within {timeout_s:.0f} s")
                timeout_s = FIRST_ANSWER_S
            except RayError as error:
                timeout_s = FIRST_ANSWER_S
                if self._closing.is_set():
                    return
                out_of_memory = _out_of_memory(error)
                if out_of_memory and index not in self.down:
                    self._on_event(ActorOutOfMemory(index, out_of_memory))
                if index not in self.down:
                    log.warning(
                        "ingest actor %s is down, Ray restarts it: %s", self.names[index], error
                    )
                self._note_down(index, out_of_memory or str(error))
                # One that is out of memory ends by itself.
                if _reader_failed(error) and not out_of_memory:
                    self._restart(index, "its reading thread failed")
                time.sleep(DOWN_PAUSE_S)
            else:
                timeout_s = SILENCE_S
                self.down.pop(index, None)
                same = received.incarnation == report.incarnation
                before = received.claims if same else 0
                received = ClaimsReceived(report.incarnation, before + len(claims))
                self._on_event(ActorReport(index, claims, report))

    def _note_down(self, index: int, why: str) -> None:
        known = self.down.get(index)
        self.down[index] = SilentActor(time.monotonic() if known is None else known.since_s, why)

    def _restart(self, index: int, why: str) -> None:
        import ray

        log.warning("killing ingest actor %s, Ray restarts it: %s", self.names[index], why)
        self._note_down(index, why)
        ray.kill(self._actors[index], no_restart=False)


def _remote_actor(settings: IngestSettings, name: str) -> Any:
    """Return the class of a Ray actor of this name, with what it reserves."""
    import ray

    return ray.remote(IngestActor).options(
        name=name,
        num_cpus=settings.cpus_per_actor,
        resources=dict(settings.resources),
        max_restarts=settings.max_restarts,
        # While `take` waits, `locate` and `drop` must be served.
        max_concurrency=8,
        # Ray would keep a record of each of the last 100 000 calls: 11 MB for 1000 claims, in the
        # process that all of its cluster depends on.
        enable_task_events=False,
        runtime_env={"env_vars": {"POLARS_MAX_THREADS": "1", "ARROW_IO_THREADS": "1"}},
    )


def _make_decoder(
    packets: PacketSettings,
    max_message_bytes: int,
    known_schemas: Mapping[tuple[str, int], str],
    archive: StorageLocation,
    archive_id: str,
) -> Decoder:
    """Return the decoder of an actor, in its process."""
    storage = open_storage(archive)
    tables = TableSchemas(
        storage, packets, before_entry=functools.partial(refuse_if_gone, storage, archive_id)
    )
    return make_decoder(packets, max_message_bytes, known_schemas, tables)


def _out_of_memory(error: Exception) -> str:
    """Return why an actor that took too much memory ends; "" if it did not."""
    cause = getattr(error, "cause", None)
    return str(cause) if isinstance(cause, MemoryExceeded) else ""


def _reader_failed(error: Exception) -> bool:
    from ray.exceptions import RayTaskError

    return isinstance(error, RayTaskError)
