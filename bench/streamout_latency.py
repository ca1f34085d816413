"""`python -m bench.streamout_latency`: how soon a subscriber has what is durable.

Archives real alerts of ZTF as the chain does at this rate, a claim of each partition twice a
second, while the process that streams out follows the archive: ten filters of three cuts, each in a
process of its own. A consumer of all topics that reads committed messages notes when it has each.
Then a visit is archived with one commit. The time counts from the ledger's entry: from then on an
alert is durable. No archive and no services run beside, which would share the cores.

The run fails if an alert that was sent is not received once.
"""

import argparse
import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import fastavro
import numpy as np
from confluent_kafka import Consumer

from bench.durable import Durable, alerts_of, durable_claims
from bench.options import add_common, begin, working_folder
from bench.quantiles import latency_quantiles
from bench.streamout import Feeder, publish
from bench.topics import ZTF_PACKETS, read_feed
from finkray.avro.frame import FRAME_BYTES, read_schema_id
from finkray.settings.ingest import IngestSettings
from finkray.settings.streamout import StreamoutSettings
from finkray.storage.contract import Storage
from finkray.storage.opening import StorageLocation, open_storage
from finkray.streamout.sender import read_out_ledger, read_schemas
from jobs.cluster.local_ray import WORKER_NICENESS
from sim.broker.kafka import Kafka

QUIET_S: Final = 5.0
"""Between the stream and the visit."""

WARM_S: Final = 5.0
"""The first seconds of the stream do not count: filters are loaded, and schemas are learnt."""

VISIT_CLAIM_ALERTS: Final = 500
"""Alerts in a claim of a visit: ZTF's packets that fit into `ingest.claim_bytes`."""

_POLL_S: Final = 0.2
INSTANCE: Final = "bench-latency"
"""Instance of the process that streams out."""

_LOG = logging.getLogger("bench.streamout_latency")


class Received(NamedTuple):
    """A message in the hands of the subscriber: when, of which filter, of which alert."""

    at_unix_s: float
    filter: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of a run.

    Attributes
    ----------
    rate_per_s
        alerts of the stream that became durable in a second
    alerts, messages
        alerts of the stream that counted, and messages of them
    p50_s, p95_s, p99_s
        from an alert's commit until the subscriber has the message
    visit_alerts, visit_messages
        of the visit
    visit_last_s
        from its commit until the subscriber has the last message
    """

    rate_per_s: float
    alerts: int
    messages: int
    p50_s: float
    p95_s: float
    p99_s: float
    visit_alerts: int
    visit_messages: int
    visit_last_s: float


def latencies_s(received: Sequence[Received], durable: Sequence[Durable]) -> np.ndarray:
    """Return for each message of these claims how long after its commit it was received.

    Raises
    ------
    ValueError
        A message was received twice.
    """
    counts = Counter((each.filter, each.partition, each.offset) for each in received)
    if twice := [source for source, count in counts.items() if count > 1]:
        raise ValueError(f"{len(twice)} messages were received twice, as {twice[0]}")
    committed = {
        (claim.partition, offset): claim.at_unix_s
        for claim in durable
        for offset in range(claim.first_offset, claim.last_offset + 1)
    }
    return np.array(
        [
            each.at_unix_s - committed[each.partition, each.offset]
            for each in received
            if (each.partition, each.offset) in committed
        ]
    )


def work_out(
    received: Sequence[Received], stream: Sequence[Durable], visit: Sequence[Durable]
) -> Measured:
    """Work out the figures of a run.

    Parameters
    ----------
    received
        all messages
    stream
        the claims of the stream that count
    visit
        those of the visit
    """
    seconds = latencies_s(received, stream)
    p50_s, p95_s, p99_s = latency_quantiles(seconds)
    visit_s = latencies_s(received, visit)
    times = [claim.at_unix_s for claim in stream]
    # The first commit opens the time, so its own alerts came before it.
    later = sum(alerts_of(claim) for claim in stream if claim.at_unix_s > min(times))
    return Measured(
        rate_per_s=later / (max(times) - min(times)),
        alerts=sum(map(alerts_of, stream)),
        messages=len(seconds),
        p50_s=p50_s,
        p95_s=p95_s,
        p99_s=p99_s,
        visit_alerts=sum(map(alerts_of, visit)),
        visit_messages=len(visit_s),
        visit_last_s=float(visit_s.max()),
    )


def render(measured: Measured) -> str:
    """Return the figures as text."""
    return (
        f"{measured.rate_per_s:.0f} alerts/s, {measured.messages:,} messages of "
        f"{measured.alerts:,} alerts: p50 {measured.p50_s:.2f} s, p95 {measured.p95_s:.2f} s, "
        f"p99 {measured.p99_s:.2f} s\n"
        f"a visit of {measured.visit_alerts:,} alerts, {measured.visit_messages:,} messages: "
        f"the last after {measured.visit_last_s:.2f} s"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code is 1 if a message was lost or doubled."""
    options = _parser().parse_args(arguments)
    if not begin(options.data, (ZTF_PACKETS,)):
        return 2
    try:
        with (
            working_folder("latency", options.folder, keep=options.keep) as folder,
            Kafka.running(folder / "kafka") as kafka,
        ):
            measured = measure(options, folder, kafka)
    except (RuntimeError, ValueError) as error:
        _LOG.error("%s", error)
        return 1
    print(render(measured))
    if options.json:
        options.json.write_text(json.dumps(asdict(measured), indent=2), encoding="utf-8")
    return 0


def measure(options: argparse.Namespace, folder: Path, kafka: Kafka) -> Measured:
    """Stream for a while, then send a visit."""
    config = {"bootstrap.servers": kafka.bootstrap_servers}
    settings = StreamoutSettings(instance=INSTANCE)
    storage = open_storage(StorageLocation(str(folder / "archive")))
    feeder = Feeder(storage, read_feed("containers", options.data).messages)
    feeder.put(1)  # the filters' columns are looked up in what is archived
    before = len(durable_claims(storage))
    topics = publish(storage, config, settings, folder, ("lite", options.filters))
    with (
        subscribed(config, topics) as messages,
        streaming_out(folder, storage, config) as log,
    ):
        _stream(feeder, options.rate, WARM_S, options.partitions)
        warm = len(durable_claims(storage))
        _LOG.info("%g alerts/s for %g s", options.rate, options.seconds)
        _stream(feeder, options.rate, options.seconds, options.partitions)
        streamed = len(durable_claims(storage))
        time.sleep(QUIET_S)
        _LOG.info("a visit of %d alerts", options.visit)
        claims, rest = divmod(options.visit, VISIT_CLAIM_ALERTS)
        sizes = [VISIT_CLAIM_ALERTS] * claims + [rest] * bool(rest)
        feeder.put_at_once(sizes, options.partitions)
        durable = durable_claims(storage)
        alerts = sum(map(alerts_of, durable[before:]))
        deadline_s = time.monotonic() + options.timeout
        wait_until_received(config, alerts, messages, deadline_s, log)
    received = decoded(messages, config)
    return work_out(received, durable[warm:streamed], durable[streamed:])


def _stream(feeder: Feeder, rate_per_s: float, seconds: float, partitions: int) -> None:
    """Archive alerts at that rate, in claims that were open for `ingest.linger_s`."""
    linger_s = IngestSettings().linger_s
    begun_s, done = time.monotonic(), 0
    for tick in range(1, round(seconds / linger_s) + 1):
        time.sleep(max(0.0, begun_s + tick * linger_s - time.monotonic()))
        due = round(rate_per_s * tick * linger_s) - done
        done += due
        bounds = [due * number // partitions for number in range(partitions + 1)]
        claims = [end - start for start, end in pairwise(bounds)]
        feeder.put_at_once(claims, partitions)


@contextmanager
def subscribed(
    config: Mapping[str, Any], topics: Sequence[str]
) -> Iterator[list[tuple[float, bytes]]]:
    """Read the topics in a thread, and yield what was received; see `Received`."""
    own = {"group.id": "bench", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer({**config, **own, "isolation.level": "read_committed"})
    consumer.subscribe(list(topics))
    messages: list[tuple[float, bytes]] = []
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            message = consumer.poll(_POLL_S)
            if message is None:
                continue
            if error := message.error():
                _LOG.warning("the subscriber: %s", error)
            elif value := message.value():
                messages.append((time.time(), value))

    thread = threading.Thread(target=run, name="subscriber")
    thread.start()
    try:
        yield messages
    finally:
        ended.set()
        thread.join()
        consumer.close()


def wait_until_judged(config: Mapping[str, Any], alerts: int, deadline_s: float, log: Path) -> None:
    """Wait until all filters have judged that many alerts, and sent what passed."""

    def all_judged() -> bool:
        progress = read_out_ledger(config, INSTANCE).progress.values()
        return bool(progress) and all(each.alerts == alerts for each in progress)

    wait_until("all is judged", all_judged, deadline_s, log)


def wait_until_received(
    config: Mapping[str, Any],
    alerts: int,
    messages: Sequence[tuple[float, bytes]],
    deadline_s: float,
    log: Path,
) -> None:
    """Wait until all filters have judged that many alerts, and all that was sent is received."""

    def all_received() -> bool:
        progress = read_out_ledger(config, INSTANCE).progress.values()
        is_judged = all(each.alerts == alerts for each in progress)
        return is_judged and len(messages) >= sum(each.sent for each in progress)

    wait_until("all is received", all_received, deadline_s, log)


def decoded(messages: Sequence[tuple[float, bytes]], config: Mapping[str, Any]) -> list[Received]:
    """Decode what was received: after the measurement, which it would slow down."""
    texts = read_schemas(config, INSTANCE).texts()
    schemas = {number: fastavro.parse_schema(json.loads(text)) for number, text in texts.items()}
    out = []
    for at_unix_s, value in messages:
        record = io.BytesIO(value[FRAME_BYTES:])
        alert: Any = fastavro.schemaless_reader(record, schemas[read_schema_id(value)], None)
        about = alert["finkray"]
        out.append(Received(at_unix_s, about["filter"], about["partition"], about["offset"]))
    return out


@contextmanager
def streaming_out(folder: Path, storage: Storage, config: Mapping[str, Any]) -> Iterator[Path]:
    """Run the process that streams out, from its first look on; yield its log.

    It has the niceness of a job of Ray, as `finkray start streamout` runs it.
    """
    settings, log = folder / "finkray.toml", folder / "streamout.log"
    settings.write_text(
        f'[kafka]\nbootstrap_servers = "{config["bootstrap.servers"]}"\n'
        f'[archive]\nuri = "{storage.uri}"\n[streamout]\ninstance = "{INSTANCE}"\n',
        encoding="utf-8",
    )
    nice = ["nice", "-n", str(WORKER_NICENESS)]
    command = [*nice, sys.executable, "-m", "jobs.daemons.streamout", "--config", str(settings)]
    state = folder / "state"
    state.mkdir()
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [*command, "--unsupervised"],
            env={**os.environ, "FINKRAY_STATE": str(state)},
            stdout=sink,
            stderr=sink,
        )
    try:
        looked = state / "streamout.json"
        wait_until("a first look", looked.exists, time.monotonic() + 120, log)
        yield log
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def wait_until(what: str, done: Callable[[], bool], deadline_s: float, log: Path) -> None:
    """Wait until a time of the monotonic clock; raise RuntimeError with the end of a log."""
    while not done():
        if time.monotonic() > deadline_s:
            tail = log.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"waited in vain until {what}. The end of the log:\n{tail}")
        time.sleep(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.streamout_latency", description=__doc__)
    parser.add_argument(
        "--rate", type=float, default=270.0, metavar="N", help="alerts/s (%(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, default=60.0, metavar="S", help="of the stream (%(default)s)"
    )
    parser.add_argument(
        "--visit", type=int, default=10_000, metavar="N", help="alerts at once (%(default)s)"
    )
    parser.add_argument("--filters", type=int, default=10, metavar="N", help="(%(default)s)")
    parser.add_argument(
        "--timeout", type=float, default=120, metavar="S", help="after the visit (%(default)s)"
    )
    add_common(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
