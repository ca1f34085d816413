"""Fixtures for tests with a real Ray and a real archive.

`ray_cluster`  a local Ray, one for the session, with room for one archive at a time
`packets`      twelve real packets of ZTF, of one schema version
`archive`      an archive of the test's own on that Ray, reading the session's Kafka; its
               process is started by the test and ended with it
`browser`, `page`  a headless Chromium, one for the session, and a page of it
`hdfs`         a real HDFS, one for the module: use a folder of your own, and leave it running
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from finkray.settings.ray import RaySettings
from jobs.cluster.local_ray import LocalRay, start_local_ray, stop_local_ray
from sim.broker.kafka import Kafka
from tests.support.archiving import ArchiveUnderTest
from tests.support.hdfs_server import HdfsServer, running_hdfs
from tests.support.packets import real_ztf_packets


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests that share the session's Ray last: one that waits takes 7 % of a core."""
    items.sort(key=_shares_ray)


def _shares_ray(item: pytest.Item) -> bool:
    return "ray_cluster" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRay]:
    """A local Ray with a token of its own; it ends with pytest."""
    state = tmp_path_factory.mktemp("ray")
    settings = RaySettings(local_dashboard_port=0, local_cpus=4)
    with pytest.MonkeyPatch.context() as patch:
        # As after `. .venv/bin/activate`: the raylet searches its PATH for a job's `python`.
        patch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        ray = start_local_ray(state, settings)
    try:
        yield ray
    finally:
        stop_local_ray(state)


@pytest.fixture(scope="session")
def packets(test_data: Path) -> list[bytes]:
    """Twelve real packets of ZTF, of one schema version."""
    return list(real_ztf_packets(test_data, "202002*"))


@pytest.fixture
def archive(
    tmp_path: Path, kafka: Kafka, topic: str, ray_cluster: LocalRay
) -> Iterator[ArchiveUnderTest]:
    """An archive of the test's topic, not started yet."""
    under_test = ArchiveUnderTest(
        root=tmp_path / "archive",
        folder=tmp_path,
        bootstrap_servers=kafka.bootstrap_servers,
        topics=[topic],
        environment=ray_cluster.environment(),
    )
    yield under_test
    under_test.kill()


@pytest.fixture(scope="module")
def hdfs() -> Iterator[HdfsServer]:
    """A real HDFS, in memory if the machine has a folder there: flushes cost nothing."""
    memory = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder,
        running_hdfs(Path(folder) / "hdfs") as server,
    ):
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium, one for the session."""
    chromium = shutil.which("chromium")
    if chromium is None:
        reason = "no chromium on PATH (Debian: apt-get install chromium)"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    expect.set_options(timeout=60_000)  # the default of 5 s is too short beside other tests
    with sync_playwright() as playwright:
        # Chromium's sandbox does not work in a container, and the page is our own.
        chrome = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield chrome
        chrome.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a browser without cookies."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    yield context.new_page()
    context.close()
