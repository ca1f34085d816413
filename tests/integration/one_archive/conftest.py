"""One running archive for all tests of this folder.

A start of Spark on Ray takes 20 s of CPU time, so these tests share one: each has topics of its
own, which come while the archive runs. A test may stop the archive; the next one starts it again.

`shared`       the archive; at its first start there is no topic
`archive`      the same, running
`topic`        a topic that it reads
`early_topic`  its first topic, with twelve alerts and a dead letter
"""

from collections.abc import Iterator

import pytest

from jobs.cluster.local_ray import LocalRay
from sim.broker.kafka import Kafka
from sim.lsst.schema import write_schemas
from tests.support.archiving import ArchiveUnderTest, wait_until
from tests.support.packets import send

EARLY_TOPIC = "chain_early"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Look up alerts first, while the archive has few files: a look-up opens each of them."""
    items.sort(key=lambda item: item.path.name != "test_hostile_stream.py")


@pytest.fixture(scope="package")
def shared(
    tmp_path_factory: pytest.TempPathFactory,
    kafka: Kafka,
    ray_cluster: LocalRay,
    packets: list[bytes],
) -> Iterator[ArchiveUnderTest]:
    """The archive, which `archive` starts."""
    folder = tmp_path_factory.mktemp("one_archive")
    scratch = folder / "tmp"
    scratch.mkdir()
    write_schemas(folder / "schemas")
    under_test = ArchiveUnderTest(
        folder / "archive",
        folder,
        kafka.bootstrap_servers,
        ["^((ztf|lsst)_)?chain_"],
        {**ray_cluster.environment(), "TMPDIR": str(scratch)},
        {
            "ingest": {"held_bytes": "32 MiB", "claim_bytes": "1 MiB", "memory_bytes": "440 MiB"},
            "packets": {"schema_folder": str(folder / "schemas")},
        },
    )
    under_test.start()
    try:
        wait_until("the alarm that there is no topic", lambda: "NO_TOPIC" in under_test.alarms())
        kafka.create_topic(EARLY_TOPIC)
        send(kafka.bootstrap_servers, EARLY_TOPIC, [*packets, b"poison"])
        under_test.wait_for_topic(EARLY_TOPIC, 13)
        yield under_test
    finally:
        under_test.kill()


@pytest.fixture
def archive(shared: ArchiveUnderTest) -> ArchiveUnderTest:
    """The archive, restarted if an earlier test stopped it."""
    return shared.running()


@pytest.fixture
def topic(topic: str) -> str:
    """A topic that the archive reads."""
    return f"chain_{topic}"


@pytest.fixture
def early_topic() -> str:
    """A topic of which the shared archive has twelve alerts and a dead letter from its start on."""
    return EARLY_TOPIC
