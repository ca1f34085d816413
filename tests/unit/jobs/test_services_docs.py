"""docs/services.md is true: who follows it word by word has results in the end."""

import subprocess
import sys
from pathlib import Path

import pytest

import finkray
import finkray.testing
from finkray.claim import Claim, TopicPartition
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit
from finkray.packets.batch import AlertBatch
from finkray.packets.dead_letters import DEAD_LETTER_SCHEMA
from finkray.packets.write_claim import write_claim
from finkray.storage.local import LocalStorage
from tests.support import services_docs

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with an archive of real-shaped alerts."""
    alerts = finkray.testing.alerts()
    fingerprint = alerts["schema_fingerprint"][0].as_py()
    source = TopicPartition("cluster", alerts["kafka_topic"][0].as_py(), "an-id-of-a-topic", 0)
    batch = AlertBatch(
        claim=Claim(source, 0, len(alerts) - 1),
        tables=((fingerprint, alerts),),
        schemas={fingerprint: "{}"},
        schema_ids={},
        dead_letters=DEAD_LETTER_SCHEMA.empty_table(),
        gaps=(),
    )
    storage = LocalStorage(tmp_path / "archive")
    ledger = Ledger.take_over(storage)
    commit(ledger, storage, [write_claim(batch, storage, ledger.staging, "1")])
    return tmp_path


def run(place: Path, *words: str) -> None:
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    env = {"PATH": path, "FINKRAY_STATE": str(place / "state"), "HOME": str(place)}
    env["PYTHONPATH"] = f"{CHECKOUT}:{place}"
    done = subprocess.run(
        words, cwd=place, env=env, capture_output=True, text=True, check=False, timeout=250
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"


def test_who_follows_the_page_has_results(place: Path) -> None:
    for name, text in services_docs.files().items():
        (place / name).write_text(text)
    commands = services_docs.commands(live=False)
    assert len(commands) == 7
    for command in commands:
        run(place, "bash", "-ec", command)
    run(place, "python", "-m", "pytest", "-q", "test_mymodule.py")
    run(place, "python", "read_results.py")

    archive = finkray.open_archive(place / "archive")
    results = archive.results("bright").to_table()
    assert results.num_rows == archive.newest("bright").num_rows == 120
    assert set(results["bright"].to_pylist()) == {True, False}
