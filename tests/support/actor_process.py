"""An ingest actor in a process of its own, without Ray: `python -m tests.support.actor_process`.

It reads a topic to an offset or until it ends, and prints what it did as a line of JSON.
"""

import functools
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from finkray.errors import MemoryExceeded
from finkray.ingest import unreadable
from finkray.ingest.actor import IngestActor
from finkray.ingest.budget import Budget
from finkray.ingest.intake import CutLimits
from finkray.ingest.messages import NOTHING_RECEIVED, Assignment, ClaimsReceived
from finkray.kafka.cluster import KafkaCluster
from finkray.packets.decoder import make_decoder
from finkray.settings.packets import PacketSettings

MIB = 2**20


@dataclass
class Outcome:
    """What the actor did; `exit_code` is that of its process."""

    read_to: int = 0
    gaps: list[list[Any]] = field(default_factory=list)
    unreadable: str = ""
    out_of_memory: str = ""
    peak_bytes: int = 0
    exit_code: int = 0


def run_actor(
    bootstrap_servers: str, topic: str, *, end_offset: int, memory_bytes: int, restarted: bool
) -> Outcome:
    """Run an actor in a process of its own until all offsets before `end_offset` are in claims."""
    orders = {
        "bootstrap_servers": bootstrap_servers,
        "topic": topic,
        "end_offset": end_offset,
        "memory_bytes": memory_bytes,
        "restarted": restarted,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.actor_process", json.dumps(orders)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=700,
        check=False,
    )
    lines = done.stdout.splitlines()
    outcome = Outcome(**json.loads(lines[-1])) if lines else Outcome()
    outcome.exit_code = done.returncode
    return outcome


def main(orders: Mapping[str, Any]) -> None:
    """Read the topic, dropping claims as soon as they are ready."""
    unreadable.RETRY_S = 0.2  # type: ignore[misc]
    config = {"bootstrap.servers": orders["bootstrap_servers"]}
    limits = CutLimits(claim_bytes=8 * MIB, claim_rows=2000, linger_s=0.1)
    actor = IngestActor(
        config,
        Budget.share(held_bytes=64 * MIB, actors=1, max_message_bytes=2 * MIB, limits=limits),
        functools.partial(make_decoder, PacketSettings(), 2 * MIB, {}),
        1024,
        store=lambda batch: batch,
        memory_bytes=orders["memory_bytes"],
        restarted=orders["restarted"],
    )
    cluster = KafkaCluster(config)
    (source,) = cluster.partitions(lambda name: name == orders["topic"])
    actor.assign([Assignment(source, 0, 1)])
    outcome, received = Outcome(), NOTHING_RECEIVED
    while outcome.read_to < orders["end_offset"]:
        try:
            claims, report = actor.take(0.3, received)
        except MemoryExceeded as error:
            outcome.out_of_memory = str(error)
            _print(outcome)
            time.sleep(60.0)  # the actor ends this process
            continue
        before = received.claims if received.incarnation == report.incarnation else 0
        received = ClaimsReceived(report.incarnation, before + len(claims))
        for ready in claims:
            batch = actor.locate(ready.claim)
            outcome.gaps += [[gap.kind, gap.first_offset, gap.last_offset] for gap in batch.gaps]
            outcome.read_to = ready.claim.last_offset + 1
        outcome.unreadable = report.unreadable or outcome.unreadable
        actor.drop([ready.claim for ready in claims])
    _print(outcome)


def _print(outcome: Outcome) -> None:
    # Not `ru_maxrss`, which begins with that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    outcome.peak_bytes = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    print(json.dumps(asdict(outcome)), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
