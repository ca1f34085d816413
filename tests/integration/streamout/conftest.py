"""An archive whose filters are published, and the process that sends."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from finkray.settings.streamout import StreamoutSettings
from finkray.streamout.engine import Streamout
from finkray.streamout.filter_process import FilterPool, limits_of
from sim.broker.kafka import Kafka
from tests.support.packets import real_ztf_packets
from tests.support.real_archives import RealArchive
from tests.support.streaming_out import OutStream


@pytest.fixture(scope="module")
def packets(test_data: Path) -> list[bytes]:
    return list(real_ztf_packets(test_data, "20180626_skyportal_205"))


@pytest.fixture(scope="module")
def pool() -> Iterator[FilterPool]:
    with FilterPool(limits_of(StreamoutSettings())) as made:
        yield made


@pytest.fixture
def out(
    kafka: Kafka,
    topic: str,
    tmp_path: Path,
    test_data: Path,
    packets: list[bytes],
    pool: FilterPool,
) -> OutStream:
    archive = RealArchive(tmp_path / "archive", test_data)
    archive.put("ztf", packets[:20])
    config = {"bootstrap.servers": kafka.bootstrap_servers}
    instance = re.sub(r"[^a-z0-9_-]", "", topic.lower())[-40:]
    settings = StreamoutSettings(instance=f"t{instance}", needs_s=2.0, breaker_rest_s=0.5)
    return OutStream(archive, tmp_path, config, settings, pool)


@pytest.fixture
def engine(out: OutStream) -> Iterator[Streamout]:
    made = Streamout(out.archive.storage, out.config, out.settings)
    yield made
    made.close()
