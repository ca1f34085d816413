"""Fixtures that every test may use.

`test_data`   the folder with public real alerts; without it the test is skipped
`quick_folder`  a folder in memory
`small`       an empty archive in memory, to be filled claim by claim
`sky`         a server that answers as the CDS cross-match does
`registry`    a schema registry that knows no schema yet
`kafka`       a real Kafka, one for the session: use a topic of your own, leave it running
`topic`       a topic name that no other test has (the topic is not made yet)
`finkray`     a command run inside the test, without a process of its own

A test that kills or reconfigures a broker starts its own: `Kafka.running(...)`.
"""

import faulthandler
import os
import re
import signal
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from sim.broker.kafka import Kafka
from tests.support.commands import Answer, Finkray
from tests.support.examples import examples
from tests.support.ledgers import quick_storage
from tests.support.quick_start import sitecustomize
from tests.support.registry import Registry, running_registry
from tests.support.sky_server import Sky, running_sky
from tests.support.small_archives import SmallArchive

# No example is judged by the clock: the machine may be busy.
settings.register_profile(
    "finkray",
    deadline=None,
    max_examples=examples(25),
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("finkray")

# Each Java process of a test lives for seconds or minutes: Java's second compiler took 40 % of the
# CPU time of a test of Kafka, and paid nothing back. Its serial collector starts in 0.4 s less CPU
# time than the usual one (of 3.3 s of Kafka).
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")

_QUICK_START = str(Path(sitecustomize.__file__).parent)
_PYTHONPATH = os.environ.get("PYTHONPATH", "").split(os.pathsep)
if _QUICK_START not in _PYTHONPATH:
    os.environ["PYTHONPATH"] = os.pathsep.join([_QUICK_START, *filter(None, _PYTHONPATH)])


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End a pytest that cannot end, for example by a thread that a test left, and say where."""
    # pytest-xdist ends its own workers, which wait for each other here.
    if not hasattr(config, "workerinput"):
        faulthandler.dump_traceback_later(120, exit=True, file=sys.__stderr__)


@pytest.fixture(autouse=True)
def _own_signal_handlers() -> Iterator[None]:
    """Restore the signal handlers that a daemon inside a test replaces: Ctrl-C ends the run."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


_DEFAULT_TEST_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of real packets: `FINKRAY_TEST_DATA`, else `shared/data` beside the checkout."""
    folder = Path(os.environ.get("FINKRAY_TEST_DATA", _DEFAULT_TEST_DATA))
    if not folder.is_dir():
        reason = f"no real alerts in {folder}: set FINKRAY_TEST_DATA to a folder that has them"
        # In CI a skipped test would count as passed.
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    return folder


@pytest.fixture
def quick_folder() -> Iterator[Path]:
    """A folder in memory, if the machine has one: many small archives, no durability."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def small() -> Iterator[SmallArchive]:
    """An empty archive in memory: `small.put(0, 59)` archives sixty alerts."""
    with quick_storage() as storage:
        yield SmallArchive(storage)


@pytest.fixture
def sky() -> Iterator[Sky]:
    """A server that answers as the CDS cross-match does; `sky.mood` lets it misbehave."""
    with running_sky() as server:
        yield server


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A schema registry that knows no schema yet."""
    with running_registry() as server:
        yield server


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A running broker that all tests of the session share; it ends with pytest."""
    with Kafka.running(tmp_path_factory.mktemp("kafka"), heap_mb=512) as broker:
        yield broker


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    """A fresh topic name, after the test: `kafka.create_topic(topic, partitions=2)`."""
    test = re.sub(r"[^\w.-]+", "_", request.node.name, flags=re.ASCII)[:100]
    return f"{test}_{uuid.uuid4().hex[:8]}"


@pytest.fixture
def finkray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Finkray:
    """Run a command in an empty folder with a state folder of its own; return its answer."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("FINKRAY", "RAY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FINKRAY_STATE", str(tmp_path / "state"))
    from jobs.cli.main import main  # a third of a second, which most tests do not need

    def run(*words: str, **env: str) -> Answer:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["finkray", *words])
            for name, value in env.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        code = ended.value.code
        assert isinstance(code, int)
        return Answer(code, *capfd.readouterr())

    return run
