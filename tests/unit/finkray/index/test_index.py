"""The object index: every answer equals that of a look into all files, whatever happened before."""

import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finkray.adapter.columns import find
from finkray.claim import StagedClaim
from finkray.errors import StorageError
from finkray.index.alert_rows import ID_COLUMNS
from finkray.index.circle import separations_arcsec
from finkray.index.follower import IndexFollower
from finkray.index.manifest import INDEX_FOLDER, RUNS_FOLDER, read_manifest, step_numbers, sweep
from finkray.index.objects import ObjectIndex
from finkray.ledger.claims import read_claims
from finkray.ledger.publish import commit
from finkray.services.columns import has
from finkray.storage.contract import Storage
from finkray.storage.local import LocalStorage
from finkray.storage.memory import MemoryStorage
from tests.support.examples import examples
from tests.support.night_archives import Made, NightArchive, measurement
from tests.support.real_archives import real_archive
from tests.support.torn_storage import Killed, TornStorage

NAMES = ["ZTF26aaaaaaa", "ZTF26aaaaaab", "ZTF26zzzzzzz", "ZTF26000001", "name of a star", None]
RADII = (0.5, 3.0, 60.0, 3600.0)
PLACES = ((0.0, 0.0), (359.9999, 0.0), (10.0, 90.0), (200.0, -90.0), (45.0, 41.8), (180.0, 89.9999))

numbers = itertools.count()


def memory() -> MemoryStorage:
    return MemoryStorage(f"index-{next(numbers)}")


def alert(name: str | None, candid: int, ra: float, dec: float) -> Made:
    return Made(name, measurement(candid, ra, dec))


def small(storage: Storage, **how: Any) -> IndexFollower:
    return IndexFollower(storage, **{"step_alerts": 4, "fan_out": 2} | how)


def all_rows(storage: Storage) -> list[tuple[str, int, str | None, float, float]]:
    """File, row, name and position of each alert that the ledger names."""
    rows = []
    for files in read_claims(storage, ["files"])["files"].to_pylist():
        for file in files:
            with storage.open(file["path"]) as source:
                table = pq.read_table(source, columns=["objectId", "candidate"], partitioning=None)
            for number, row in enumerate(table.to_pylist()):
                at = row["candidate"]
                rows.append((file["path"], number, row["objectId"], at["ra"], at["dec"]))
    return rows


def check(storage: Storage) -> None:
    """Compare look-ups of all names and of circles with a look into all files."""
    index = ObjectIndex.open(storage)
    rows = all_rows(storage)
    asked = [name for name in NAMES if name] + ["ZTF26unknown", "ZTF26bbbbbbb", "77"]
    found = index.rows_of(asked)
    assert sorted(zip(*found.to_pydict().values(), strict=True)) == sorted(
        (name, file, row) for file, row, name, _, _ in rows if name
    )
    for name in asked:
        one = index.rows_of([name]).to_pylist()
        assert {row["object_id"] for row in one} <= {name}
        assert [(row["file"], row["row"]) for row in one] == sorted(
            (file, row) for file, row, of, _, _ in rows if of == name
        )
    ra, dec = (np.array([row[n] for row in rows], np.float64) for n in (3, 4))
    for (at_ra, at_dec), radius in itertools.product(PLACES, RADII):
        near = separations_arcsec(ra, dec, at_ra, at_dec) <= radius
        wanted = sorted((row[0], row[1], row[2]) for row, is_near in zip(rows, near, strict=True)
                        if is_near)  # fmt: skip
        cone = index.rows_in_cone(at_ra, at_dec, radius)
        order = cone["separation_arcsec"].to_pylist()
        assert order == sorted(order)
        columns = (cone[name].to_pylist() for name in ("file", "row", "object_id"))
        assert sorted(zip(*columns, strict=True)) == wanted


def near_a_place(seed: int) -> tuple[float, float]:
    """Return a position within a second or a degree of one of the places."""
    rng = np.random.default_rng(seed)
    ra, dec = PLACES[seed % len(PLACES)]
    scale = (0.5 / 3600, 30 / 3600, 0.5)[rng.integers(3)]
    dec = float(np.clip(dec + rng.normal(0, scale), -90, 90))
    around = rng.normal(0, scale) / max(1e-3, np.cos(np.radians(dec)))
    return float((ra + around) % 360), dec


claims = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 10**6)), min_size=1, max_size=6)
events = st.lists(
    st.one_of(claims, st.sampled_from(["follow", "merge", "follow", "delete"])), max_size=12
)


@settings(max_examples=examples(12), deadline=None)
@given(events)
def test_any_archive_is_found_whole_at_any_state_of_the_index(
    what: list[list[tuple[str | None, int]] | str],
) -> None:
    storage = memory()
    made = NightArchive(storage)
    follower = small(storage)
    candid = itertools.count(1)
    for event in what:
        if isinstance(event, list):
            made.put([alert(n, next(candid), *near_a_place(seed)) for n, seed in event])
        elif event == "follow":
            follower.add_new()
        elif event == "merge":
            follower.merge()
        else:
            storage.delete_folder(INDEX_FOLDER)
    check(storage)
    follower.catch_up()
    assert ObjectIndex.open(storage).unindexed_files() == []
    check(storage)


def some_archive(storage: Storage, claims: int = 6) -> NightArchive:
    made = NightArchive(storage)
    for n in range(claims):
        names = [NAMES[(n + k) % len(NAMES)] for k in range(3)]
        made.put([alert(name, 10 * n, *near_a_place(6 * n + k)) for k, name in enumerate(names)])
    return made


@pytest.mark.parametrize("kills", [True, False], ids=["killed", "refused"])
@pytest.mark.parametrize("done_first", [True, False], ids=["after", "before"])
def test_a_failure_at_any_step_neither_loses_nor_doubles(kills: bool, done_first: bool) -> None:
    for steps in itertools.count():
        storage = memory()
        some_archive(storage, 4)
        torn = TornStorage(storage)
        torn.arm(steps, kills=kills, done_first=done_first)
        with suppress(Killed, StorageError):
            small(torn).catch_up()
        if torn.steps is not None:
            break  # it ended before the armed step
        if steps % 4 == 0:  # reading is slow beside the steps
            check(storage)
        small(storage).catch_up()
        check_names(ObjectIndex.open(storage), storage)
        if steps % 4 == 1:
            check(storage)
        sweep(storage)
        manifest = read_manifest(storage)
        assert manifest.alerts == 12
        named = {run.name for run in manifest.runs} | {each.name for each in manifest.retired}
        assert {folder.rpartition("/")[2] for folder in storage.folders(RUNS_FOLDER)} == named
    assert steps > 20


class Interrupting(TornStorage):
    """Lets another follower work right before the n-th object is created."""

    def __init__(self, inner: Storage, other: Callable[[], object], creates: int) -> None:
        super().__init__(inner)
        self.other, self.creates = other, creates

    def create(self, path: str, data: bytes) -> bool:
        self.creates -= 1
        if self.creates == 0:
            self.other()
        return super().create(path, data)


@pytest.mark.parametrize("creates", [1, 2, 3])
@pytest.mark.parametrize("whole", [True, False])
def test_of_two_followers_at_once_one_takes_each_step(creates: int, whole: bool) -> None:
    storage = memory()
    some_archive(storage)
    other = small(storage)
    shared = Interrupting(storage, other.catch_up if whole else other.add_new, creates)
    small(shared).catch_up()
    small(storage).catch_up()
    assert read_manifest(storage).alerts == 18
    check(storage)


def test_a_follower_that_slept_while_its_step_was_deleted_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("finkray.index.manifest.KEPT_STEPS", 1)
    storage = memory()
    made = some_archive(storage)

    def go_far_ahead() -> None:
        for n in range(20):
            made.put([alert(NAMES[0], 100 + n, *near_a_place(n))])
            small(storage).catch_up()
        assert step_numbers(storage)[0] > 3

    small(Interrupting(storage, go_far_ahead, 1)).add_new()
    check(storage)
    small(storage).catch_up()
    sweep(storage)
    assert read_manifest(storage).alerts == 18 + 20
    check(storage)


def test_files_that_the_ledger_replaced_are_followed() -> None:
    """A redrive adds alerts of dead letters, and writes missing files again."""
    for indexed_before, indexed_after in itertools.product((True, False), repeat=2):
        storage = memory()
        made = some_archive(storage, 3)
        dead = made.put([alert(NAMES[0], 50, 45.0, 41.8)], dead=2)
        if indexed_before:
            small(storage, fan_out=2).catch_up()
        made.resolve(dead.result, [alert(NAMES[1], 51, 45.0, 41.8), alert(None, 52, 0.0, 0.0)])
        repair(made, made.put([alert(NAMES[2], n, 0.0, 0.0) for n in (60, 61, 62)]), indexed_before)
        if indexed_after:
            small(storage).catch_up()
        check(storage)
        small(storage, fan_out=9).catch_up()
        check(storage)
        small(storage).catch_up()
        check(storage)
        assert read_manifest(storage).alerts - 3 * len(read_manifest(storage).void) == 15


def repair(made: NightArchive, before: StagedClaim, indexed: bool) -> None:
    """Write the file of a claim again with its rows in another order, as a repair may."""
    storage = made.storage
    if indexed:
        small(storage).catch_up()
    result = before.result
    storage.delete([file.path for file in result.files])
    again = [alert(NAMES[3], 70, 45.0, 41.8), *(alert(NAMES[n], 70 + n, 0.0, 0.0) for n in (1, 2))]
    after = made.stage(result.claim.first_offset, again)
    assert [file.path for file in after.result.files] == [file.path for file in result.files]
    commit(made.ledger, storage, [StagedClaim(after.result, after.staged)], kind="repaired")


def test_a_damaged_and_a_missing_file_hold_up_nothing(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    made = NightArchive(storage)
    paths = [made.put([alert(NAMES[n % 3], n, 45.0, 41.8)]).result.files[0].path for n in range(4)]
    content = (tmp_path / paths[0]).read_bytes()
    (tmp_path / paths[0]).write_bytes(content[:-50])
    away = (tmp_path / paths[1]).rename(tmp_path / "away")
    small(storage).catch_up()
    assert read_manifest(storage).skipped == (paths[0], paths[1])
    assert ObjectIndex.open(storage).status().skipped_files == 2
    with pytest.raises(StorageError, match="cannot be read"):
        ObjectIndex.open(storage).rows_of([str(NAMES[2])])
    (tmp_path / paths[0]).write_bytes(content)
    away.rename(tmp_path / paths[1])
    check(storage)


def test_an_index_of_another_ledger_is_made_again(tmp_path: Path) -> None:
    first, second = LocalStorage(tmp_path / "first"), LocalStorage(tmp_path / "second")
    some_archive(first)
    small(first).catch_up()
    NightArchive(second).put([alert(NAMES[0], 1, 45.0, 41.8)])
    (tmp_path / "first" / INDEX_FOLDER).rename(tmp_path / "second" / INDEX_FOLDER)
    check(second)
    small(second).catch_up()
    check(second)
    assert read_manifest(second).alerts == 1


def test_an_open_reader_goes_on_when_its_runs_are_merged_and_deleted() -> None:
    storage = memory()
    made = some_archive(storage)
    small(storage, fan_out=99).catch_up()
    reader = ObjectIndex.open(storage)
    at = datetime(2026, 11, 25, tzinfo=UTC)
    small(storage, now=lambda: at).merge()
    retired = read_manifest(storage).retired
    assert retired
    assert {each.name for each in retired} <= {
        folder.rpartition("/")[2] for folder in storage.folders(RUNS_FOLDER)
    }
    for n in range(4):
        made.put([alert("ZTF26yyyyyyy", 80 + n, 0.0, 0.0)])
        small(storage, now=lambda: at + timedelta(hours=2)).catch_up()
    assert not set(read_manifest(storage).retired) & set(retired)
    assert reader.rows_of([str(NAMES[0])]) == ObjectIndex.open(storage).rows_of([str(NAMES[0])])
    check_names(reader, storage)


def check_names(reader: ObjectIndex, storage: Storage) -> None:
    wanted = [(file, row) for file, row, name, _, _ in all_rows(storage) if name == NAMES[0]]
    found = reader.rows_of([str(NAMES[0])])
    assert sorted(zip(found["file"].to_pylist(), found["row"].to_pylist(), strict=True)) == sorted(
        wanted
    )


def test_two_names_of_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finkray.index.keys._key_of_other", lambda name: -(2**50) if name else 0)
    storage = memory()
    some_archive(storage)
    check(storage)
    small(storage).catch_up()
    check(storage)


def test_objects_of_a_circle_are_counted() -> None:
    storage = memory()
    NightArchive(storage).put(
        [
            alert(NAMES[0], 1, 45.0, 41.8),
            alert(NAMES[1], 2, 45.0, 41.8001),
            alert(NAMES[0], 3, 45.0, 41.80001),
            alert(None, 4, 45.0, 41.8),
        ]
    )
    small(storage).catch_up()
    first, second = ObjectIndex.open(storage).objects(45.0, 41.8, 5.0).to_pylist()
    assert (first["object_id"], first["alerts"], first["separation_arcsec"]) == (NAMES[0], 2, 0.0)
    assert (second["object_id"], second["alerts"]) == (NAMES[1], 1)


@pytest.mark.parametrize("circle", [(400, 0, 1), (0, 91, 1), (0, 0, 0), (0, 0, 1e9), (0, 0, -1)])
def test_what_is_no_circle_is_refused(circle: Sequence[float]) -> None:
    with pytest.raises(ValueError, match=r"is not within|not above 0"):
        ObjectIndex.open(memory()).rows_in_cone(*circle)


def test_a_later_format_of_the_index_is_explained() -> None:
    storage = memory()
    some_archive(storage, 1)
    small(storage).catch_up()
    manifest = replace(read_manifest(storage), number=7)
    storage.create(
        f"{INDEX_FOLDER}/steps/{7:020d}.json",
        manifest.to_bytes().replace(b'"format":1', b'"format":2'),
    )
    with pytest.raises(StorageError, match=r"format 2.*delete the folder index/"):
        ObjectIndex.open(storage)


def test_real_alerts_of_both_surveys_are_found_by_every_id(tmp_path: Path, test_data: Path) -> None:
    storage = real_archive(tmp_path, test_data).storage
    wanted: set[tuple[str, str, int]] = set()
    for files in read_claims(storage, ["files"])["files"].to_pylist():
        for file in files:
            with storage.open(file["path"]) as source, pq.ParquetFile(source) as parquet:
                names = [name for name in ID_COLUMNS if has(parquet.schema_arrow, name)]
                table = parquet.read(columns=names)
            for column in filter(None, (find(table, name) for name in names)):
                ids = enumerate(column.to_pylist())
                wanted |= {(str(each), file["path"], row) for row, each in ids if each}
    asked = sorted({name for name, _, _ in wanted})
    assert any(name.isdigit() for name in asked)
    for _ in ("not indexed", "indexed"):
        found = ObjectIndex.open(storage).rows_of(asked)
        rows = list(zip(*found.to_pydict().values(), strict=True))
        assert len(rows) == len(wanted)
        assert set(rows) == wanted
        small(storage).catch_up()
