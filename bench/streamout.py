"""`python -m bench.streamout`: what it costs to judge alerts and to send those that pass.

Archives real alerts of ZTF again and again, in files of 498 rows; publishes filters of three cuts
on a Kafka of its own; and sends, once for each projection and number of filters. The CPU time is
that of this process, the fork server and all filter processes, from reading the ledger to the last
commit, with warm processes. Kafka's own does not count.

With --peers, Spark's Kafka sink sends the same alerts through the same cuts, see
`bench.chains.spark_sink`. It must send as many.
"""

import argparse
import json
import logging
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import psutil

from bench.chains.spark_sink import FORMS, run_sink
from bench.meter import Meter
from bench.options import add_common, begin, working_folder
from bench.topics import ZTF_PACKETS, read_feed
from finkray.claim import Claim, TopicPartition
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit
from finkray.packets.batch import make_batch
from finkray.packets.decode import Decoder
from finkray.packets.message import RawMessage
from finkray.packets.write_claim import write_claim
from finkray.settings.streamout import StreamoutSettings
from finkray.storage.contract import Storage
from finkray.storage.opening import StorageLocation, open_storage
from finkray.streamout.engine import Streamout
from finkray.streamout.filter_process import FilterPool, limits_of
from finkray.streamout.projection import Projection
from finkray.streamout.publishing import publish_filter
from finkray.streamout.wire import Wire
from sim.broker.kafka import Kafka

CASES: Final = (("lite", 1), ("lite", 10), ("full", 10), ("cutouts", 10), ("lite", 100))
"""Projections, and numbers of filters."""

_SOURCE: Final = TopicPartition("bench", "ztf_20181129_programid1", "bench-topic", 0)
_FILTER: Final = """
def f{number}(magpsf, classtar, ndethist):
    return (magpsf < {limit}) & (classtar > 0.3) & (ndethist < 2000)
"""
_LOG = logging.getLogger("bench.streamout")


class Feeder:
    """Archives the same packets again and again, as tasks of the chain write them.

    Parameters
    ----------
    storage
        of a new archive
    packets
        containers with alerts
    """

    def __init__(self, storage: Storage, packets: Sequence[bytes]) -> None:
        self._storage = storage
        self._claim_alerts = len(packets)
        self._packets = cycle(packets)
        self._ledger = Ledger.take_over(storage)
        self._decoder = Decoder()
        self._next_offset: Counter[int] = Counter()

    def put(self, alerts: int) -> int:
        """Archive at least so many alerts, claim by claim; return how many."""
        claims = -(-alerts // self._claim_alerts)
        for _ in range(claims):
            self.put_at_once([self._claim_alerts])
        return claims * self._claim_alerts

    def put_at_once(self, claims: Sequence[int], partitions: int = 1) -> None:
        """Archive claims of so many alerts, of the partitions in turn, with one commit."""
        now_ms = int(time.time() * 1000)
        staged = []
        for number, alerts in enumerate(claims):
            partition = number % partitions
            first = self._next_offset[partition]
            self._next_offset[partition] += alerts
            packets = enumerate(islice(self._packets, alerts))
            messages = [RawMessage(first + n, now_ms, packet) for n, packet in packets]
            claim = Claim(_SOURCE._replace(partition=partition), first, first + alerts - 1)
            batch = make_batch(claim, messages, (), self._decoder)
            attempt = f"{partition}-{first}"
            staged.append(write_claim(batch, self._storage, self._ledger.staging, attempt))
        commit(self._ledger, self._storage, staged)


def magnitude_limits(filters: int) -> list[float]:
    """Return the cut in magnitude of each filter."""
    rng = random.Random(5)
    return [17.0 + rng.uniform(-0.3, 0.3) for _ in range(filters)]


def publish(
    storage: Storage,
    config: Mapping[str, Any],
    settings: StreamoutSettings,
    folder: Path,
    case: tuple[str, int],
    *,
    head: str = "",
) -> list[str]:
    """Publish the filters of a case for an archive that has alerts; return their topics.

    `head` is what stands above their functions.
    """
    projection, filters = case
    topics = [f"bench_{projection}_{filters}_{number}" for number in range(filters)]
    with FilterPool(limits_of(settings)) as pool:
        for number, limit in enumerate(magnitude_limits(filters)):
            path = folder / f"f{number}.py"
            text = head + _FILTER.format(number=number, limit=limit)
            path.write_text(text, encoding="utf-8")
            publish_filter(
                storage,
                config,
                settings,
                pool,
                path,
                topic=topics[number],
                projection=Projection(projection),
                wire=Wire.CONFLUENT,
            )
    return topics


def measure(
    storage: Storage,
    packets: Sequence[bytes],
    config: Mapping[str, Any],
    folder: Path,
    *,
    case: tuple[str, int],
    alerts: int,
) -> dict[str, Any]:
    """Publish filters, archive alerts, and send; return what it cost."""
    projection, filters = case
    settings = StreamoutSettings(instance=f"bench-{projection}-{filters}")
    feeder = Feeder(storage, packets)
    feeder.put(1)  # the filters' columns are looked up in what is archived
    publish(storage, config, settings, folder, case)
    _LOG.info("Archiving %d alerts for %d filters, %s", alerts, filters, projection)
    engine = Streamout(storage, config, settings)
    try:
        feeder.put(1)
        while engine.step():  # starts the processes and learns the schemas
            pass
        first = next(iter(engine.progress.values())).alerts
        first_sent = sum(each.sent for each in engine.progress.values())
        archived = feeder.put(alerts)
        meter = Meter(os.getpid(), without=("kafka.Kafka", "java"))
        before, own_s = meter.sample(), time.process_time()
        begun_s = time.perf_counter()
        while engine.step():
            pass
        wall_s = time.perf_counter() - begun_s
        after = meter.sample()
        memory_bytes = _memory_bytes()
        cpu_s = after.cpu_s - before.cpu_s + time.process_time() - own_s
        progress = engine.progress.values()
        assert {each.alerts for each in progress} == {first + archived}
        sent = sum(each.sent for each in progress) - first_sent
    finally:
        engine.close()
    return {
        "by": "finkray",
        "projection": projection,
        "filters": filters,
        "alerts": archived,
        "sent": sent,
        "cpu_s": cpu_s,
        "wall_s": wall_s,
        "alerts_per_s_a_core": archived / cpu_s,
        "memory_bytes": memory_bytes,
    }


def _memory_bytes() -> int:
    """Return the memory of this process, the fork server and the filters: shared pages once."""
    own = psutil.Process()
    processes = [own, *(each for each in own.children(recursive=True) if each.name() != "java")]
    return sum(int(each.memory_full_info().pss) for each in processes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each case, print what it cost."""
    options = _parser().parse_args(arguments)
    if not begin(options.data, (ZTF_PACKETS,)):
        return 2
    packets = read_feed("containers", options.data).messages
    costs = []
    with (
        working_folder("streamout", options.folder, keep=options.keep) as folder,
        Kafka.running(folder / "kafka") as kafka,
    ):
        for case in options.cases:
            name = f"archive-{case[0]}-{case[1]}"
            storage = open_storage(StorageLocation(str(folder / name)))
            config = {"bootstrap.servers": kafka.bootstrap_servers}
            cost = measure(storage, packets, config, folder, case=case, alerts=options.alerts)
            costs.append(cost)
            print(_line(cost))
            if case in options.peers:
                costs += _measure_peers(kafka, storage, folder, cost, options.cores)
    if options.json:
        options.json.write_text(json.dumps(costs, indent=2), encoding="utf-8")
    return 0


def _measure_peers(
    kafka: Kafka, storage: Storage, folder: Path, cost: Mapping[str, Any], cores: int
) -> Iterator[dict[str, Any]]:
    """Send the alerts of a case with Spark too, and compare.

    Raises
    ------
    RuntimeError
        Spark failed, or sent another share of the alerts.
    """
    for form in FORMS:
        _LOG.info("Spark's Kafka sink, %s", form)
        peer = run_sink(
            form,
            storage=storage,
            kafka=kafka,
            case=(cost["projection"], cost["filters"]),
            limits=magnitude_limits(cost["filters"]),
            folder=folder,
            cores=cores,
        )
        if peer["sent"] * cost["alerts"] != cost["sent"] * peer["alerts"]:
            raise RuntimeError(f"Spark sent another share of the alerts: {peer}, {cost}")
        ratio = cost["alerts_per_s_a_core"] / peer["alerts_per_s_a_core"]
        print(f"{_line(peer)}; finkray sends {ratio:.1f} x as many")
        yield {**peer, "finkray_ratio": ratio}


def _line(cost: Mapping[str, Any]) -> str:
    return (
        f"{cost['by']:23s} {cost['projection']:8s} {cost['filters']:3d} filters: "
        f"{cost['alerts_per_s_a_core']:8,.0f} alerts/s a core, {cost['sent']:,} messages "
        f"of {cost['alerts']:,} alerts, {cost['wall_s']:.1f} s, "
        f"{cost['memory_bytes'] / 2**20:,.0f} MiB"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.streamout", description=__doc__)
    parser.add_argument("--alerts", type=int, default=20_000, metavar="N")
    parser.add_argument(
        "--cases",
        type=_cases,
        default=CASES,
        metavar="P:N,…",
        help="projections and numbers of filters, as lite:10,lite:100",
    )
    parser.add_argument(
        "--peers",
        type=_cases,
        default=(),
        metavar="P:N,…",
        help="those of the cases in which Spark's Kafka sink runs beside (none)",
    )
    add_common(parser)
    return parser


def _cases(text: str) -> tuple[tuple[str, int], ...]:
    parts = (case.partition(":") for case in text.split(",") if case)
    return tuple((projection, int(filters)) for projection, _, filters in parts)


if __name__ == "__main__":
    sys.exit(main())
