"""Generations of a night: what readers see while one is built, interrupted, replaced, deleted."""

import json
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import lsdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hats.io.validation import is_valid_catalog

from catalogs.nights.build import build_night, refuse_incomplete, requests
from catalogs.nights.generation import Generation, delete_old, read_committed
from catalogs.nights.index import NightIndex
from catalogs.nights.listing import built_nights
from catalogs.nights.steps import BuildStopped, Steps
from finkray.errors import NightError, StorageError
from finkray.host.process_id import ProcessId
from finkray.ledger.publish import commit
from finkray.storage.contract import Storage
from finkray.storage.dataset import open_dataset
from finkray.storage.hours import Span
from finkray.storage.local import LocalStorage
from tests.support.ledgers import quick_storage
from tests.support.night_archives import (
    NIGHT,
    Made,
    NightArchive,
    build,
    measurement,
    random_sky,
    requested,
)
from tests.support.real_archives import LSST_ALERTS, ZTF_ALERTS, real_archive
from tests.support.torn_storage import Killed, TornStorage

COORDINATES = ["kafka_topic", "kafka_partition", "kafka_offset"]
FOLDER = "hats/nights/2026-11-24"


@pytest.fixture
def made(quick_folder: Path) -> NightArchive:
    return NightArchive(LocalStorage(quick_folder / "archive"))


def rows_of_night(storage: Storage) -> list[tuple[str, int, int]]:
    """The coordinates of the alerts that a reader finds."""
    (night,) = built_nights(storage)
    rows = []
    for leaf in sorted(Path(night.alerts_uri).rglob("Npix*.parquet")):
        table = pq.read_table(leaf, partitioning=None)
        rows += [tuple(row.values()) for row in table.select(COORDINATES).to_pylist()]
    return sorted(rows)


def rows_of_archive(storage: Storage, night: date = NIGHT) -> list[tuple[str, int, int]]:
    """The coordinates of the alerts of a night in the hourly files."""
    hourly, _ = open_dataset(storage, Span(), None)
    table = hourly.to_table([*COORDINATES, "obs_night"])
    of_night = table.filter(pc.field("obs_night") == pa.scalar(night)).select(COORDINATES)
    return sorted(tuple(row.values()) for row in of_night.to_pylist())


def test_late_alerts_and_resolved_letters_make_new_generations(made: NightArchive) -> None:
    sky = random_sky(60)
    first = made.put(sky[:20], dead=3)
    assert build(made.storage).generation == 1
    assert build(made.storage).generation == 1  # nothing is new
    made.put(sky[20:40], hour=datetime(2026, 11, 28, 3, tzinfo=UTC))
    second = build(made.storage)
    assert (second.generation, second.alerts) == (2, 40)
    assert rows_of_night(made.storage) == rows_of_archive(made.storage)
    made.resolve(first.result, sky[40:43])
    third = build(made.storage)
    assert (third.generation, third.alerts) == (3, 43)
    assert rows_of_night(made.storage) == rows_of_archive(made.storage)
    assert third.through_entry > second.through_entry
    assert is_valid_catalog(Path(made.storage.uri) / FOLDER, strict=True)


def test_a_repaired_claim_makes_a_new_generation_with_each_alert_once(made: NightArchive) -> None:
    sky = random_sky(40)
    lost = made.put(sky[:20])
    made.put(sky[20:])
    build(made.storage)
    made.storage.delete(list(lost.staged))
    again = made.stage(0, sky[:20])
    commit(made.ledger, made.storage, [again], kind="repaired")
    second = build(made.storage)
    assert (second.generation, second.alerts) == (2, 40)
    assert rows_of_night(made.storage) == rows_of_archive(made.storage)


def test_alerts_of_other_nights_in_the_same_file_are_left_out(made: NightArchive) -> None:
    sky = random_sky(40)
    other = date(2026, 11, 23)
    made.put([Made(one.object_id, one.candidate, one.history, other) for one in sky[:6]] + sky[6:])
    made.put([Made(one.object_id, one.candidate, one.history, None) for one in sky[:4]])
    assert build(made.storage).alerts == 34
    assert build(made.storage, other).alerts == 6
    assert [night.night for night in built_nights(made.storage)] == ["2026-11-23", "2026-11-24"]


def test_an_alert_without_a_position_is_counted_and_in_no_catalogue(made: NightArchive) -> None:
    nowhere = [
        Made("ZTF26nowhere", measurement(n, ra, 1.0)) for n, ra in ((1, float("nan")), (2, -999.0))
    ]
    made.put([*random_sky(20), *nowhere])
    built = build(made.storage)
    assert (built.alerts, built.without_position) == (20, 2)


def test_a_night_without_objects_or_without_positions_is_valid(quick_folder: Path) -> None:
    nowhere = measurement(1, float("nan"), 1.0)
    for name, alerts, found in (
        ("no-object", [Made(None, measurement(n, 10.0 + n, 1.0)) for n in range(5)], 5),
        ("no-position", [Made("ZTF26nowhere", nowhere)], 0),
    ):
        made = NightArchive(LocalStorage(quick_folder / name))
        made.put(alerts)
        built = build(made.storage)
        assert (built.alerts, built.objects) == (found, 0)
        folder = quick_folder / name / FOLDER
        assert is_valid_catalog(folder, strict=True)
        assert is_valid_catalog(folder / "g1" / "alerts", strict=True)
        assert len(lsdb.open_catalog(folder).compute(progress_bar=False)) == 0


def test_a_file_that_is_missing_is_told_and_nothing_is_committed(made: NightArchive) -> None:
    made.put(random_sky(20))
    lost = made.put(random_sky(20, seed=8))
    request = requested(made.storage)
    made.storage.delete(list(lost.staged))
    with pytest.raises(StorageError, match="is in the ledger and not in the archive"):
        build_night(made.storage, request, Steps())
    assert read_committed(made.storage, FOLDER) is None


def test_a_file_with_other_rows_than_the_ledger_says_is_refused(made: NightArchive) -> None:
    whole = made.put(random_sky(20))
    made.put(random_sky(10, seed=8))
    (path, other) = next(iter(made.stage(99, random_sky(8)).staged.items()))
    data = made.storage.read(other)
    assert data is not None
    del path
    made.storage.replace(next(iter(whole.staged)), data)
    with pytest.raises(NightError, match="has 8 rows and the ledger says 20"):
        build(made.storage)


def test_a_night_that_is_not_there_or_not_over_is_refused(made: NightArchive) -> None:
    made.put(random_sky(4))
    index = NightIndex(made.storage)
    index.update(Steps())
    with pytest.raises(NightError, match="no alerts of night 2026-12-01: it has 2026-11-24"):
        requests(index, date(2026, 12, 1))
    (request,) = requests(index, NIGHT)
    with pytest.raises(NightError, match="not complete: it ends at 2026-11-25T20:00 UTC"):
        refuse_incomplete(request, datetime(2026, 11, 25, 19, 59, tzinfo=UTC))
    refuse_incomplete(request, datetime(2026, 11, 25, 20, 0, tzinfo=UTC))


def test_an_old_generation_is_deleted_a_day_after_the_next_one(made: NightArchive) -> None:
    sky = random_sky(40)
    made.put(sky[:20])
    build(made.storage)
    made.put(sky[20:])
    second = build(made.storage)
    assert made.storage.folders(FOLDER) == [f"{FOLDER}/g1", f"{FOLDER}/g2"]
    hours = timedelta(hours=1)
    assert delete_old(made.storage, FOLDER, second.built_at + 23 * hours) == []
    assert delete_old(made.storage, FOLDER, second.built_at + 25 * hours) == [1]
    assert made.storage.folders(FOLDER) == [f"{FOLDER}/g2"]
    assert rows_of_night(made.storage) == rows_of_archive(made.storage)


def test_a_reader_that_has_the_collection_open_survives_a_rebuild(made: NightArchive) -> None:
    sky = random_sky(60)
    made.put(sky[:30])
    build(made.storage, leaf_rows=10, object_leaf_rows=10)
    folder = Path(made.storage.uri) / FOLDER
    opened = lsdb.open_catalog(folder)
    made.put(sky[30:])
    build(made.storage, leaf_rows=10, object_leaf_rows=10)
    before = opened.compute(progress_bar=False)
    assert sorted(before["objectId"]) == sorted({one.object_id for one in sky[:30]})
    after = lsdb.open_catalog(folder).compute(progress_bar=False)
    assert sorted(after["objectId"]) == sorted({one.object_id for one in sky})


def test_a_build_that_was_ended_continues_with_the_leaf_it_had_come_to(made: NightArchive) -> None:
    made.put(random_sky(200))
    request = requested(made.storage, leaf_rows=20, object_leaf_rows=20)
    done: list[str] = []

    def stop_in_the_middle() -> None:
        if any(text.startswith("wrote 8 of") for text in done):
            raise BuildStopped

    with pytest.raises(BuildStopped):
        build_night(made.storage, request, Steps(stop_in_the_middle, done.append))
    assert read_committed(made.storage, FOLDER) is None
    leaves = {leaf: leaf.stat().st_mtime_ns for leaf in Path(made.storage.uri).rglob("Npix*")}
    assert len(leaves) == 8
    assert build_night(made.storage, request, Steps()).generation == 1
    assert {leaf: leaf.stat().st_mtime_ns for leaf in leaves} == leaves
    assert rows_of_night(made.storage) == rows_of_archive(made.storage)
    assert is_valid_catalog(Path(made.storage.uri) / FOLDER, strict=True)


def test_a_storage_that_is_no_folder_has_the_same_files(made: NightArchive) -> None:
    with quick_storage("memory") as storage:
        for archive in (made, NightArchive(storage)):
            archive.put(random_sky(100))
            build(archive.storage, leaf_rows=20, object_leaf_rows=20)
        assert isinstance(made.storage, LocalStorage)
        files = {
            at.relative_to(made.storage.root).as_posix(): at.read_bytes()
            for at in (made.storage.root / FOLDER).rglob("*")
            if at.is_file()
        }
        in_memory = {file.path: storage.read(file.path) for file in storage.walk(FOLDER)}
        assert in_memory.keys() == files.keys()
        different = {path for path, data in files.items() if in_memory[path] != data}
        assert different == {f"{FOLDER}/collection.properties"}  # it has the time of the commit


def test_the_nights_of_a_second_survey_lie_apart(tmp_path: Path, test_data: Path) -> None:
    storage = real_archive(tmp_path / "archive", test_data).storage
    index = NightIndex(storage)
    index.update(Steps())
    for survey in ("ztf", "lsst"):
        for of, night in sorted(index.nights):
            if of == survey:
                (request,) = requests(index, night, survey)
                build_night(storage, request, Steps())
    nights = list(built_nights(storage))
    alerts = dict.fromkeys(("ztf", "lsst"), 0)
    for night in nights:
        alerts[night.committed.survey] += night.committed.alerts
        assert is_valid_catalog(night.uri, strict=True)
        assert is_valid_catalog(night.alerts_uri, strict=True)
    assert alerts == {"ztf": ZTF_ALERTS, "lsst": LSST_ALERTS}
    assert storage.folders("hats") == ["hats/nights", "hats/nights-lsst"]


def test_two_builds_of_a_night_do_not_meet(made: NightArchive) -> None:
    made.put(random_sky(20))
    request = requested(made.storage)
    generation = Generation(made.storage, FOLDER, 1)
    assert generation.create(request.plan)
    made.storage.replace(f"{FOLDER}/g1/build/owner.json", _owner(os.getppid(), datetime.now(UTC)))
    with pytest.raises(NightError, match=f"is being built by process {os.getppid()}"):
        build_night(made.storage, request, Steps())
    # On a machine that this one cannot see a build is dead when it has reported nothing for long,
    # or in the future, by a clock that was wrong.
    for silent_s, refused in ((60, True), (-60, True), (3600, False), (-3600, False)):
        at = datetime.now(UTC) - timedelta(seconds=silent_s)
        made.storage.replace(f"{FOLDER}/g1/build/owner.json", _owner(1, at, boot="another"))
        if refused:
            with pytest.raises(NightError, match="is being built by process 1"):
                build_night(made.storage, request, Steps())
        else:
            assert generation.owner() is None
    assert build_night(made.storage, request, Steps()).generation == 1


def _owner(pid: int, at: datetime, boot: str | None = None) -> bytes:
    process = ProcessId.of(pid).to_json() | ({"boot_id": boot} if boot else {})
    return json.dumps({"process": process, "at": at.isoformat()}).encode()


@pytest.mark.parametrize("done_first", [False, True])
def test_a_build_that_is_killed_anywhere_leaves_the_old_night_or_the_new_one(
    quick_folder: Path, *, done_first: bool
) -> None:
    made = NightArchive(LocalStorage(quick_folder / "archive"))
    sky = random_sky(48)
    made.put(sky[:24])
    build(made.storage, leaf_rows=12, object_leaf_rows=12)
    expected = {1: rows_of_archive(made.storage)}
    made.put(sky[24:])
    expected[2] = rows_of_archive(made.storage)
    request = requested(made.storage, leaf_rows=12, object_leaf_rows=12)

    counting = TornStorage(LocalStorage(quick_folder / "copy"))
    NightArchive(counting.inner).put(sky)
    counting.arm(10_000, kills=True, done_first=False)
    build_night(counting, requested(counting, leaf_rows=12, object_leaf_rows=12), Steps())
    assert counting.steps is not None
    steps = 10_000 - counting.steps
    assert steps > 50

    killed = 0
    for at in range(3, steps, max(1, steps // 25)):
        torn = TornStorage(made.storage)
        torn.arm(at, kills=True, done_first=done_first)
        try:
            build_night(torn, request, Steps())
        except Killed:
            killed += 1
        current = read_committed(made.storage, FOLDER)
        assert current is not None
        assert rows_of_night(made.storage) == expected[current.generation]
    assert killed >= 12
    last = build_night(made.storage, request, Steps())
    assert rows_of_night(made.storage) == expected[last.generation]
    assert last.generation == 2
    assert is_valid_catalog(Path(made.storage.uri) / FOLDER, strict=True)
