"""`python -m bench.backlog`: how much archiving a backlog slows the live stream down."""

import argparse
import json
import logging
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path

import numpy as np

from bench.durable import kafka_unix_s
from bench.options import add_common, begin, working_folder
from bench.quantiles import latency_quantiles
from bench.running import running_archive
from bench.topics import ZTF_PACKETS, read_feed, send
from finkray.ledger.claims import read_claims
from finkray.storage.opening import StorageLocation, open_storage
from sim.broker.kafka import Kafka
from sim.player.pace import Pace
from sim.player.play import Played, play
from sim.player.sources import Packet

_LOG = logging.getLogger("bench.backlog")


@dataclass(frozen=True, slots=True)
class Durable:
    """One claim that became durable, of the live stream or of the backlog."""

    at_unix_s: float
    old: bool
    kafka_unix_s: np.ndarray


@dataclass(frozen=True, slots=True)
class Outcome:
    """Latency of the live stream and rate of the backlog in one run.

    Attributes
    ----------
    p50_s, p95_s, p99_s
        From a live alert's Kafka timestamp until it is in the ledger.
    live_alerts
        Number of live alerts that were measured.
    backlog_per_s
        Old alerts made durable each second after the warm-up; None without any.
    """

    p50_s: float
    p95_s: float
    p99_s: float
    live_alerts: int
    backlog_per_s: float | None


@dataclass(frozen=True, slots=True)
class _Scene:
    """One run: its topic, what is played into it, how many alerts it holds before.

    Without old alerts there is one in each partition, which shows when the archive works.
    """

    kafka: Kafka
    topic: str
    messages: Sequence[bytes]
    old_per_partition: int
    folder: Path

    @property
    def before_per_partition(self) -> int:
        return self.old_per_partition or 1


def work_out(claims: Sequence[Durable], *, warm_s: float) -> Outcome:
    """Work out the figures of one run.

    The time that counts begins `warm_s` after the first commit, and ends with the last commit
    of old alerts, or if there are none with that of live ones.

    Raises
    ------
    ValueError
        There are no live alerts in that time.
    """
    first_s = min(claim.at_unix_s for claim in claims) + warm_s
    old = [claim for claim in claims if claim.old]
    last_s = max(claim.at_unix_s for claim in old or claims)
    latencies = [np.array([])]
    for claim in claims:
        counts = (claim.kafka_unix_s >= first_s) & (claim.kafka_unix_s <= last_s)
        if not claim.old:
            latencies.append(claim.at_unix_s - claim.kafka_unix_s[counts])
    seconds = np.concatenate(latencies)
    if not seconds.size:
        raise ValueError("the backlog was down before the chain was warm: take more old alerts")
    p50_s, p95_s, p99_s = latency_quantiles(seconds)
    warm = sum(len(claim.kafka_unix_s) for claim in old if claim.at_unix_s > first_s)
    return Outcome(
        p50_s=p50_s,
        p95_s=p95_s,
        p99_s=p99_s,
        live_alerts=int(seconds.size),
        backlog_per_s=warm / (last_s - first_s) if old else None,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print both runs; the exit code is 1 if not every alert arrived once."""
    options = _parser().parse_args(arguments)
    if not begin(options.data, [ZTF_PACKETS]):
        return 2
    try:
        with working_folder("backlog", options.folder, keep=options.keep) as folder:
            alone, beside = _measure(options, folder)
    except (RuntimeError, ValueError) as error:
        _LOG.error("%s", error)
        return 1
    print(render(alone, beside, rate=options.rate))
    if options.json:
        report = {"options": _plain(options), "alone": asdict(alone), "beside": asdict(beside)}
        options.json.write_text(json.dumps(report, indent=2), encoding="utf-8")
    return 0


def render(alone: Outcome, beside: Outcome, *, rate: float) -> str:
    """Return both runs and their comparison as text."""
    lines = [f"{'live stream':22} {'p50 s':>7} {'p95 s':>7} {'p99 s':>7} {'alerts':>7}"]
    for name, run in (("alone", alone), ("beside the backlog", beside)):
        seconds = " ".join(f"{value:7.2f}" for value in (run.p50_s, run.p95_s, run.p99_s))
        lines.append(f"{name:22} {seconds} {run.live_alerts:7}")
    per_s = beside.backlog_per_s or 0.0
    lines.append(
        f"p95 beside the backlog is {beside.p95_s / alone.p95_s:.2f} x of p95 alone; the backlog "
        f"goes down by {per_s:.0f} alerts/s, {per_s / rate:.1f} x the live rate"
    )
    return "\n".join(lines)


def _measure(options: argparse.Namespace, folder: Path) -> tuple[Outcome, Outcome]:
    feed = read_feed("containers", options.data)
    with Kafka.running(folder / "kafka") as kafka:
        outcomes = []
        for name, old in (("alone", 0), ("beside", options.old)):
            topic = f"bench_backlog_{name}"
            per_partition = old // options.partitions
            scene = _Scene(kafka, topic, feed.messages, per_partition, folder / name)
            kafka.create_topic(topic, partitions=options.partitions)
            _LOG.info("%s: %d old alerts", name, per_partition * options.partitions)
            before = scene.before_per_partition * options.partitions
            send(kafka, topic, feed, before, options.partitions)
            outcomes.append(work_out(_run(options, scene), warm_s=options.warm))
            if not options.keep:
                shutil.rmtree(scene.folder)
    return outcomes[0], outcomes[1]


def _run(options: argparse.Namespace, scene: _Scene) -> list[Durable]:
    """Archive the topic beside a live stream; return which claims became durable when."""
    deadline_s = time.monotonic() + options.timeout
    with running_archive(scene.folder, _settings(options, scene)) as archive:
        archive.wait_until(
            "the first alert is durable", lambda sheet: sheet.received > 0, deadline_s
        )
        _LOG.info("the archive is at work, the live stream begins")
        with _live(scene, options.rate) as finish:
            archive.wait_until("the backlog is down", lambda sheet: sheet.waiting == 0, deadline_s)
            if not scene.old_per_partition:
                time.sleep(options.warm + options.seconds)
            played = finish()
        total = played.alerts + scene.before_per_partition * options.partitions
        archive.wait_until("all is durable", lambda sheet: sheet.archived >= total, deadline_s)
    claims = list(_durables(archive.root, scene.old_per_partition))
    rows = sum(len(claim.kafka_unix_s) for claim in claims)
    if rows != total:
        raise RuntimeError(f"{rows} alerts are in the archive, and {total} were sent")
    return claims


def _durables(root: Path, old_per_partition: int) -> Iterator[Durable]:
    storage = open_storage(StorageLocation(str(root)))
    for claim in read_claims(storage, ("at", "first_offset", "files")).to_pylist():
        yield Durable(
            at_unix_s=claim["at"].timestamp(),
            old=claim["first_offset"] < old_per_partition,
            kafka_unix_s=kafka_unix_s(storage, claim),
        )


@contextmanager
def _live(scene: _Scene, rate: float) -> Iterator[Callable[[], Played]]:
    """Play a live stream; the yielded function ends it and returns what was played."""
    stop = threading.Event()
    results: list[Played] = []

    def run() -> None:
        packets = (Packet(message) for message in cycle(scene.messages))
        servers = scene.kafka.bootstrap_servers
        results.append(play(packets, servers, scene.topic, pace=Pace(per_s=rate), stop=stop))

    thread = threading.Thread(target=run, name="live")
    thread.start()

    def finish() -> Played:
        stop.set()
        thread.join()
        if not results:
            raise RuntimeError("the live stream failed")
        return results[0]

    try:
        yield finish
    finally:
        stop.set()
        thread.join()


def _settings(options: argparse.Namespace, scene: _Scene) -> str:
    return (
        f'[kafka]\nbootstrap_servers = "{scene.kafka.bootstrap_servers}"\n'
        f'topics = ["{scene.topic}"]\n'
        f"[ingest]\nbackfill_per_s = {options.backfill_per_s}\n"
        f"backlog_offsets = {options.backlog_offsets}\n"
        f"[spark]\nexecutor_cores = {options.cores}\n"
    )


def _plain(options: argparse.Namespace) -> dict[str, object]:
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(options).items()
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.backlog",
        description="Measure a live stream's latency alone, and again beside old alerts that "
        "were there before the archive: how soon they are durable, and how fast the backlog goes.",
        epilog="Close what else runs first. A quick look: python -m bench.backlog --seconds 15 "
        "--old 12000 --backlog-offsets 1000",
    )
    parser.add_argument("--old", type=int, default=30_000, help="old alerts (%(default)s)")
    parser.add_argument(
        "--rate", type=float, default=270.0, help="live alerts in a second (%(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, default=40.0, help="of the live stream alone (%(default)s)"
    )
    parser.add_argument(
        "--warm",
        type=float,
        default=8.0,
        metavar="S",
        help="the figures leave out so long after the first commit (%(default)s)",
    )
    parser.add_argument(
        "--backfill-per-s", type=float, default=0.0, metavar="N", help="the archive's cap (none)"
    )
    parser.add_argument(
        "--backlog-offsets",
        type=int,
        default=5000,
        metavar="N",
        help="a backlog of more than this in a partition is left to the backfill (%(default)s)",
    )
    parser.add_argument(
        "--timeout", type=float, default=600, metavar="S", help="of one run (%(default)s)"
    )
    add_common(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
