"""In a long run nothing but the archive itself grows with the number of claims.

`make soak` makes 20 000 claims of one small alert each, or as many as it is told (at least 1 000).
The test compares memory and numbers of files, never times.
"""

import io
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import fastavro
import pytest
from confluent_kafka import Producer

from finkray.audit.audit import audit
from finkray.kafka.cluster import KafkaCluster
from finkray.ledger.segment import BLOCK, FANOUT, LEVELS
from finkray.storage.local import LocalStorage
from jobs.cluster.local_ray import LocalRay
from sim.broker.kafka import Kafka
from tests.support.archiving import ArchiveUnderTest, wait_until
from tests.support.soaking import MIB, Sample, grown_bytes, take_sample

CLAIMS = int(os.environ.get("FINKRAY_SOAK_CLAIMS", "1000"))
SAMPLES = 12
"""Of a run: those of its first third, in which everything grows, are not taken."""

PARTITIONS = 4
MAX_WAITING = 100
"""Limit of the messages that wait in Kafka: a queue of this length is not growth."""

GROWTH_BYTES = 4 * MIB
"""Limit of the lasting growth in memory, for each kind of process, in a third of a run: it shows a
growth of 12 kB per claim in 1 000 claims, of 0.6 kB in 20 000."""

LEDGER_FILES = 2 * BLOCK + LEVELS * FANOUT
OTHER_FILES = 100
"""Limit of the growth in temporary files and in files of Ray, which other tests of the session use
too: far below one for each claim."""

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.ray,
    pytest.mark.spark,
    pytest.mark.timeout(600 + CLAIMS),
]

SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "alert",
        "fields": [
            {"name": "objectId", "type": "string"},
            {"name": "candid", "type": "long"},
            {
                "name": "candidate",
                "type": {
                    "type": "record",
                    "name": "candidate",
                    "fields": [{"name": name, "type": "double"} for name in ("jd", "ra", "dec")],
                },
            },
            {"name": "stamp", "type": "bytes"},
        ],
    }
)


def small_alert(number: int) -> bytes:
    """Return a packet just above 1 kB, the smallest size at which a claim can be cut."""
    record = {
        "objectId": f"ZTF26{number:07d}",
        "candid": number,
        "candidate": {"jd": 2461368.5, "ra": 10.0, "dec": -10.0},
        "stamp": bytes(600),
    }
    packet = io.BytesIO()
    fastavro.writer(packet, SCHEMA, [record])
    return packet.getvalue()


class Feed:
    """Sends alerts as the archive commits them, so that `MAX_WAITING` are always on their way."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._topic = topic
        self._producer = Producer(
            {"bootstrap.servers": bootstrap_servers, "enable.idempotence": True, "log_level": 0}
        )
        self._sent = 0

    def send(self, durable: int) -> None:
        while self._sent < min(durable + MAX_WAITING, CLAIMS):
            value = small_alert(self._sent)
            self._producer.produce(self._topic, value, partition=self._sent % PARTITIONS)
            self._sent += 1
        assert self._producer.flush(60) == 0


@pytest.mark.nightly(
    "tests/unit/bench/test_audit_year.py::test_memory_grows_by_less_than_3_kb_a_file"
)
def test_nothing_but_the_archive_grows_with_the_number_of_claims(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, ray_cluster: LocalRay, tmp_path: Path
) -> None:
    kafka.create_topic(topic, partitions=PARTITIONS)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    archive.environment = {**archive.environment, "TMPDIR": str(scratch)}
    archive.settings = {
        "kafka": {"max_message_bytes": "64 KiB"},
        "ingest": {"claim_bytes": 1024, "claim_rows": 1},
        # Without the wait of a trickle, so that each claim has a file of its own.
        "spark": {"claims_per_micro_batch": 5, "trickle_s": 0},
        "spark.conf": {'"spark.local.dir"': str(scratch)},
    }
    archive.start()
    feed = Feed(kafka.bootstrap_servers, topic)
    samples: list[Sample] = []
    for number in range(1, SAMPLES + 1):
        durable = send_until_durable(archive, feed, CLAIMS * number // SAMPLES)
        if number > SAMPLES // 3:
            samples.append(take_sample(archive, ray_cluster, durable, scratch))
            sys.stdout.write(f"{samples[-1]}\n")
            sys.stdout.flush()
    archive.stop()

    started_s = time.perf_counter()
    report = audit(
        LocalStorage(archive.root), KafkaCluster({"bootstrap.servers": kafka.bootstrap_servers})
    )
    sys.stdout.write(f"audit of {CLAIMS} claims: {time.perf_counter() - started_s:.2f} s\n")
    assert report.balanced
    assert report.archived == CLAIMS
    claims = archive_claims(archive)
    assert claims >= 0.95 * CLAIMS, "the claims were not as small as meant"

    assert samples[0].compacted, "the first compaction falls into the compared samples"
    second, last = samples[: len(samples) // 2], samples[len(samples) // 2 :]
    assert all(sample.pids == second[0].pids for sample in [*second, *last]), (
        "a process was restarted: its memory cannot be compared"
    )
    grown = lasting_growth_bytes(second, last)
    sys.stdout.write(f"grown: { {kind: f'{b / MIB:.2f} MiB' for kind, b in grown.items()} }\n")
    assert {kind: b for kind, b in grown.items() if b > GROWTH_BYTES} == {}
    for sample in samples:
        assert sample.files["ledger"] <= LEDGER_FILES
        assert sample.files["staging"] <= MAX_WAITING
        for kind in ("temporary folders", "Ray's session"):
            assert sample.files[kind] <= samples[0].files[kind] + OTHER_FILES


def lasting_growth_bytes(second: Sequence[Sample], last: Sequence[Sample]) -> dict[str, float]:
    """Return the growth from the second third to the last that also continues within the last.

    A step is none, as at the first two compactions of the ledger: the driver takes 11 and 7 MiB
    more after them, and nothing more in 4 000 claims.
    """
    over_a_third = grown_bytes(second, last)
    half = len(last) // 2
    over_a_sixth = grown_bytes(last[:half], last[half:])
    return {kind: min(grown, 2 * over_a_sixth[kind]) for kind, grown in over_a_third.items()}


def send_until_durable(archive: ArchiveUnderTest, feed: Feed, claims: int) -> int:
    """Send alerts until `claims` of them are durable; return how many are."""

    def enough() -> int:
        time.sleep(0.4)  # each look reads the ledger, and the alerts on their way last for seconds
        durable = archive.balance().received
        feed.send(durable)
        assert archive.process is not None
        assert archive.process.poll() is None, archive.log.read_text()[-3000:]
        return durable if durable >= claims else 0

    durable: int = wait_until(f"{claims} durable claims", enough, wait_s=600)
    return durable


def archive_claims(archive: ArchiveUnderTest) -> int:
    import finkray

    return int(finkray.open_archive(archive.root).ledger().num_rows)
