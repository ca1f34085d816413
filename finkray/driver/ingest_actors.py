"""The ingest actors as the driver has them: started, listened to, named."""

import functools
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finkray.claim import Claim
from finkray.errors import ClusterUnavailable
from finkray.ingest.actor import IngestActor
from finkray.ingest.budget import Budget
from finkray.ingest.intake import CutLimits
from finkray.ingest.messages import NOTHING, Assignment, ClaimsReceived, IngestReport, ReadyClaim
from finkray.packets.decoder import make_decoder
from finkray.settings.model import Settings

TAKE_S = 0.5
"""How long an actor waits for a claim before it answers with its report alone."""

SILENCE_S = 20.0
"""An actor that does not answer for so long is killed: it should after `TAKE_S`, and decoding
the largest claim holds it up for a second or two."""

FIRST_ANSWER_S = 120.0
"""A new actor first waits for its resources and loads its modules: seconds, or a minute and more
on a machine that starts Spark at the same time."""

DOWN_S = 180.0
"""Ray has a killed actor up again within seconds, on a busy machine within half a minute."""

DOWN_PAUSE_S = 0.2
"""Pause between two questions to an actor that is down, while Ray starts it again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ActorReport:
    """An actor answered: its new claims and its report."""

    actor: int
    claims: Sequence[ReadyClaim]
    report: IngestReport


@dataclass(frozen=True, slots=True)
class SilentActor:
    """An actor does not answer, since when on the monotonic clock, and what Ray says."""

    since_s: float
    why: str


class IngestActors:
    """The ingest actors of one archive.

    Parameters
    ----------
    settings
        all settings
    epoch
        part of the actors' names, so that those of an older archive are never meant
    known_schemas
        what schemas' ids mean, by cluster and id
    tell
        gets each `ActorReport`, from one thread for each actor
    """

    def __init__(
        self,
        settings: Settings,
        epoch: int,
        known_schemas: Mapping[tuple[str, int], str],
        tell: Callable[[ActorReport], None],
    ) -> None:
        import ray

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
            make_decoder, settings.packets, int(settings.kafka.max_message_bytes), known_schemas
        )
        self.budget = budget
        self.names = [f"finkray-ingest-{index}-epoch-{epoch}" for index in range(ingest.actors)]
        actor_class = ray.remote(IngestActor)
        self._actors = [
            actor_class.options(
                name=name,
                num_cpus=ingest.cpus_per_actor,
                resources=dict(ingest.resources),
                max_restarts=ingest.max_restarts,
                # `take` waits, `locate` and `drop` must get through beside it.
                max_concurrency=8,
                # Ray would keep a record of each of the last 100 000 calls: 11 MB for 1000
                # claims, in the process that all of its cluster depends on.
                enable_task_events=False,
                runtime_env={"env_vars": {"POLARS_MAX_THREADS": "1", "ARROW_IO_THREADS": "1"}},
            ).remote(
                settings.kafka.client_config(),
                budget,
                decoder,
                int(settings.packets.dead_letter_bytes),
            )
            for name in self.names
        ]
        self._tell = tell
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
        """Let the actor let go of batches."""
        self._actors[actor].drop.remote(list(claims))

    def flush(self) -> None:
        """Let all actors publish what they have, and read no more."""
        for actor in self._actors:
            actor.flush.remote()

    def check(self) -> None:
        """See that every actor that is down has not been so for long.

        Raises
        ------
        ClusterUnavailable
            if one has: Ray does not get it up again
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
        import ray
        from ray.exceptions import GetTimeoutError, RayError

        actor = self._actors[index]
        patience_s = FIRST_ANSWER_S
        heard = NOTHING
        while not self._closing.is_set():
            try:
                claims, report = ray.get(actor.take.remote(TAKE_S, heard), timeout=patience_s)
            except GetTimeoutError:
                self._restart(index, f"no answer within {patience_s:.0f} s")
                patience_s = FIRST_ANSWER_S
            except RayError as error:
                patience_s = FIRST_ANSWER_S
                if self._closing.is_set():
                    return
                if index not in self.down:
                    log.warning("%s is down, Ray starts it again: %s", self.names[index], error)
                self._note_down(index, str(error))
                if _reader_failed(error):
                    self._restart(index, "its reader failed")
                time.sleep(DOWN_PAUSE_S)
            else:
                patience_s = SILENCE_S
                self.down.pop(index, None)
                before = heard.claims if heard.incarnation == report.incarnation else 0
                heard = ClaimsReceived(report.incarnation, before + len(claims))
                self._tell(ActorReport(index, claims, report))

    def _note_down(self, index: int, why: str) -> None:
        known = self.down.get(index)
        self.down[index] = SilentActor(time.monotonic() if known is None else known.since_s, why)

    def _restart(self, index: int, why: str) -> None:
        import ray

        log.warning("%s is ended to be started again: %s", self.names[index], why)
        self._note_down(index, why)
        ray.kill(self._actors[index], no_restart=False)


def _reader_failed(error: Exception) -> bool:
    from ray.exceptions import RayTaskError

    return isinstance(error, RayTaskError)
