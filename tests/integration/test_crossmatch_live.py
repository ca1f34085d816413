"""The two cross-matches, started as users start them: on disk, and on a web that misbehaves."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from finkray.storage.local import LocalStorage
from jobs.cluster.local_ray import LocalRay
from tests.support.archiving import wait_until
from tests.support.made_catalogs import made
from tests.support.sky_server import Sky
from tests.support.small_archives import SmallArchive
from tests.support.workspace import Workspace, make_workspace

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

AT_A_STAR = {"ra": 10.0, "dec": 5.0, "jd": 2461368.5}

SERVICES = ("crossmatch", "remote_crossmatch")
SETTINGS = """
[catalogs]
folder = "sky"

[catalogs.remote.simbad]
table = "simbad"
radius_arcsec = 1.0
columns = ["main_id"]
address = "{address}"
timeout_s = 1.0
failures = 1
rest_s = 0.1
"""


@pytest.fixture
def workspace(tmp_path: Path, sky: Sky, ray_cluster: LocalRay) -> Iterator[Workspace]:
    """A folder with a catalogue and settings for both; the paths in them are relative."""
    (tmp_path / "sky").mkdir()
    made(tmp_path / "sky", [10.0], [5.0], name="stars")
    (tmp_path / "mine.toml").write_text(SETTINGS.format(address=sky.address))
    config = str(tmp_path / "mine.toml")
    workspace = make_workspace(tmp_path).with_env(
        **ray_cluster.environment(), FINKRAY_CONFIG=config
    )
    yield workspace
    for name in SERVICES:
        stopped = workspace.command("stop", name)
        assert stopped.returncode == 0, stopped.stderr


@pytest.mark.nightly(
    "tests/unit/actors/test_remote_crossmatch.py::"
    "test_one_that_hangs_costs_its_time_limit_and_holds_no_other",
    "tests/integration/test_services.py::test_the_page_on_services_is_true_word_by_word",
)
def test_the_web_may_hang_the_answers_of_catalogues_on_disk_are_there(
    workspace: Workspace, sky: Sky
) -> None:
    small = SmallArchive(LocalStorage(workspace.folder / "archive"))
    small.put(0, 9, candidate=AT_A_STAR)
    for service in SERVICES:
        started = workspace.command("start", service, "--from", "2026-11-24")
        assert started.returncode == 0, started.stderr
    answers(small, "remote_crossmatch", "simbad", range(10), ("match", None))
    answers(small, "crossmatch", "stars", range(10), ("match", None))

    sky.mood = "hangs"
    small.put(10, 19, candidate=AT_A_STAR)
    answers(small, "crossmatch", "stars", range(10, 20), ("match", None))
    answers(small, "remote_crossmatch", "simbad", range(10, 20), ("not_checked", "timed_out"))

    sky.mood = "refuses"
    small.put(20, 29, candidate=AT_A_STAR)
    answers(small, "crossmatch", "stars", range(20, 30), ("match", None))
    answers(small, "remote_crossmatch", "simbad", range(20, 30), ("not_checked", "failed"))

    sky.mood = "well"
    small.put(30, 39, candidate=AT_A_STAR)
    answers(small, "remote_crossmatch", "simbad", range(30, 40), ("match", None))


def answers(
    small: SmallArchive,
    service: str,
    catalog: str,
    offsets: range,
    expected: tuple[str, str | None],
) -> None:
    """Wait until the alerts at these offsets have results; what they say of a catalogue."""
    store = LocalStorage(small.storage.root / "science" / service / "1")

    def published() -> list[dict[str, Any]] | None:
        # Results are published after they are committed, so the ledger does not say it.
        if not (store.root / "results").exists():
            return None
        table = pq.read_table(store.root / "results").sort_by("kafka_offset")
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows if len(rows) == offsets.stop else None

    rows = wait_until(f"{service} has {offsets}", published)
    assert {row["status"] for row in rows} == {"ok"}
    said = [row["matches"] for row in rows[offsets.start :]]
    assert [[one["catalog"] for one in row] for row in said] == [[catalog]] * len(offsets)
    found = {(one["status"], one["reason"]) for row in said for one in row}
    assert found == {expected}
