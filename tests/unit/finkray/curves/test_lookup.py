"""Light curves and cones are the same with the object index, without it and with a damaged one."""

import itertools
import logging
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finkray.errors import StorageError
from finkray.index.follower import IndexFollower
from finkray.index.manifest import INDEX_FOLDER, read_manifest, step_path
from finkray.reader import Archive
from finkray.storage.contract import Storage
from finkray.storage.local import LocalStorage
from finkray.storage.memory import MemoryStorage
from tests.support.curve_alerts import (
    CurveArchive,
    lsst_alert,
    lsst_source,
    lsst_table,
    ztf_alert,
    ztf_detection,
    ztf_limit,
    ztf_table,
)
from tests.support.examples import examples

NAMES = ["ZTF20aaaaaaa", "ZTF20aaaaaab", "name of a star", "17"]
NUMBERS = [7, 8, 9]
ASKED = [*NAMES, *NUMBERS, 5, "ZTF20zzzzzzz", "007", "²"]
PLACES = [(0.0, 10.0), (359.9999, 10.0), (17.0, 90.0), (200.0, -89.9999), (150.0, 2.0)]
CIRCLES = [(*at, radius) for at, radius in zip(PLACES, (3.0, 600.0, 1.0, 600.0, 3.0), strict=True)]

numbers = itertools.count()


def near_a_place(seed: int) -> dict[str, float]:
    """Return a position within some arcsec of one of the places."""
    rng = np.random.default_rng(seed)
    ra, dec = PLACES[seed % len(PLACES)]
    ra_scatter, dec_scatter = rng.normal(0, (0.3, 2.0, 60.0)[rng.integers(3)] / 3600, 2)
    dec = float(np.clip(dec + dec_scatter, -90, 90))
    return {"ra": float((ra + ra_scatter / max(1e-4, np.cos(np.radians(dec)))) % 360), "dec": dec}


def table_of(survey: str, seeds: list[int]) -> Any:
    """Return alerts of few objects and sources, so that these come again and move."""
    alerts = []
    for seed in seeds:
        at, number = near_a_place(seed), 1 + seed % 23
        if survey == "ztf":
            history = [ztf_limit(number + 30), ztf_detection(1 + seed % 7, **at)]
            name = NAMES[seed % len(NAMES)]
            alerts.append(ztf_alert(ztf_detection(number, **at), *history, object_id=name))
        else:
            ids = {"diaObjectId": NUMBERS[seed % 3]} if seed % 11 else {"ssObjectId": 5}
            fields = {"diaObjectId": None, **ids, **at}
            earlier = lsst_source(1 + seed % 7, **fields)
            alerts.append(lsst_alert(lsst_source(number, **fields), earlier))
    return ztf_table(*alerts) if survey == "ztf" else lsst_table(*alerts)


def answers(archive: Archive) -> list[Any]:
    """Return light curves of all objects together and of some alone, and cones at all places."""
    curves = [archive.lightcurves(ids) for ids in (ASKED, NAMES[2:3], NUMBERS[:1])]
    return [*curves, *(archive.cone(*circle) for circle in CIRCLES)]


def without_index(storage: Storage) -> list[Any]:
    """Delete the index, and return the answers of a look into all files."""
    storage.delete_folder(INDEX_FOLDER)
    return answers(Archive(storage))


def follower(storage: Storage) -> IndexFollower:
    return IndexFollower(storage, step_alerts=4, fan_out=2)


seeds = st.lists(st.integers(0, 10**6), min_size=1, max_size=4)
events = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["ztf", "lsst"]), seeds),
        st.sampled_from(["follow", "merge", "write again", "delete", "ask"]),
    ),
    max_size=10,
)


@settings(max_examples=examples(12), deadline=None)
@given(events)
def test_an_index_in_any_state_changes_no_answer(what: list[tuple[str, list[int]] | str]) -> None:
    storage = MemoryStorage(f"curves-{next(numbers)}")
    made, reader = CurveArchive(storage), Archive(storage)
    claims: list[tuple[Any, str, list[int]]] = []
    for event in what:
        if isinstance(event, tuple):
            claims.append((made.put(table_of(*event), event[0]), *event))
        elif event == "follow":
            follower(storage).add_new()
        elif event == "merge":
            follower(storage).merge()
        elif event == "write again" and claims:
            before, survey, of_claim = claims[len(claims) // 2]
            made.write_again(before, table_of(survey, [seed + 1 for seed in of_claim]))
        elif event == "delete":
            storage.delete_folder(INDEX_FOLDER)
        else:
            reader.lightcurves(NAMES[:1])
    found = [answers(each) for each in (reader, Archive(storage))]
    follower(storage).catch_up()
    found.append(answers(reader))
    expected = without_index(storage)
    assert all(each == expected for each in found)


def some_archive(storage: Storage, claims: int = 6) -> CurveArchive:
    made = CurveArchive(storage)
    for n in range(claims):
        survey = ("ztf", "lsst")[n % 2]
        made.put(table_of(survey, [37 * n + k for k in range(5)]), survey)
    return made


def test_a_source_that_went_over_is_found_by_the_index_too() -> None:
    storage = MemoryStorage(f"curves-{next(numbers)}")
    made = CurveArchive(storage)
    # Over the pole the box around an object reaches further than its circle.
    fields = {"dec": 89.9995}
    made.put(lsst_table(lsst_alert(lsst_source(1, ra=10.0, **fields))), "lsst")
    made.put(lsst_table(lsst_alert(lsst_source(2, ra=10.0, **fields))), "lsst")
    over = lsst_source(1, ra=190.0, diaObjectId=8, **fields)
    made.put(
        lsst_table(lsst_alert(lsst_source(3, ra=190.0, diaObjectId=8, **fields), over)), "lsst"
    )
    IndexFollower(storage).catch_up()
    archive = Archive(storage)
    assert archive.lightcurve(7)["key"].to_pylist() == [2]
    assert archive.lightcurve(8)["key"].to_pylist() == [1, 3]


def test_positions_of_an_older_and_a_newer_schema_are_found(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    made = CurveArchive(storage)
    older = lsst_table(lsst_alert(lsst_source(1)))
    at = older.schema.get_field_index("diaSource")
    names = [{"dec": "decl"}.get(name, name) for name in older.schema.field(at).type.names]
    source = pa.StructArray.from_arrays(older["diaSource"].combine_chunks().flatten(), names)
    made.put(older.set_column(at, "diaSource", source), "lsst")
    made.put(lsst_table(lsst_alert(lsst_source(2, diaObjectId=8))), "lsst")
    IndexFollower(storage).catch_up()
    cone = Archive(storage).cone(150.0, 2.0, 1.0)
    assert cone["object_id"].to_pylist() == ["7", "8"]
    storage.delete_folder(INDEX_FOLDER)
    assert Archive(storage).cone(150.0, 2.0, 1.0) == cone


def test_only_the_files_that_the_index_names_are_opened(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    made = CurveArchive(storage)
    of_file = [[NAMES[0], 10.0], [NAMES[1], 40.0]]
    results = [
        made.put(ztf_table(ztf_alert(ztf_detection(n, ra=ra), object_id=name)), "ztf")
        for n, (name, ra) in enumerate(of_file, 1)
    ]
    IndexFollower(storage).catch_up()
    damaged = tmp_path / results[1].files[0].path
    damaged.chmod(0o644)
    damaged.write_bytes(b"PAR1 no longer")
    archive = Archive(storage)
    assert archive.lightcurve(NAMES[0])["key"].to_pylist() == [1]
    assert archive.cone(10.0, 20.0, 3.0)["object_id"].to_pylist() == [NAMES[0]]
    with pytest.raises(StorageError, match="cannot be read"):
        archive.lightcurve(NAMES[1])
    storage.delete_folder(INDEX_FOLDER)
    with pytest.raises(StorageError, match="cannot be read"):
        archive.lightcurve(NAMES[0])


DAMAGES = ["cut", "flipped", "emptied", "gone", "step", "foreign"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_changes_no_answer_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    storage = LocalStorage(tmp_path / "archive")
    some_archive(storage)
    IndexFollower(storage).catch_up()
    index = tmp_path / "archive" / INDEX_FOLDER
    if damage == "foreign":
        other = LocalStorage(tmp_path / "other")
        some_archive(other, 3)
        IndexFollower(other).catch_up()
        storage.delete_folder(INDEX_FOLDER)
        (tmp_path / "other" / INDEX_FOLDER).rename(index)
    elif damage == "step":
        storage.create(step_path(read_manifest(storage).number + 1), b'{"runs": [1]}')
    for file in (index / "runs").rglob("*.arrow"):
        file.chmod(0o644)
        content = bytearray(file.read_bytes())
        if damage == "cut":
            file.write_bytes(content[: len(content) // 2])
        elif damage == "emptied":
            file.write_bytes(b"")
        elif damage == "flipped":
            for at in range(400, len(content), 7):
                content[at] ^= 1
            file.write_bytes(content)
        elif damage == "gone":
            file.unlink()
    with caplog.at_level(logging.WARNING):
        found = answers(Archive(storage))
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "delete the folder index/ of the archive and run `finkray index build`" in warning
    assert found == without_index(storage)


@pytest.mark.parametrize("name", ["objects.arrow", "positions.arrow", "files.arrow"])
def test_no_flipped_byte_of_a_run_changes_an_answer(tmp_path: Path, name: str) -> None:
    storage = LocalStorage(tmp_path)
    some_archive(storage, 2)
    expected = without_index(storage)
    IndexFollower(storage).catch_up()
    (file,) = (tmp_path / INDEX_FOLDER).rglob(name)
    file.chmod(0o644)
    content = file.read_bytes()
    for at in range(0, len(content), max(1, len(content) // 8)):
        file.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        assert answers(Archive(storage)) == expected


def test_a_missing_file_of_alerts_changes_no_answer(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    some_archive(storage)
    IndexFollower(storage).catch_up()
    next((tmp_path / "alerts").rglob("*.parquet")).unlink()
    found = answers(Archive(storage))
    assert found == without_index(storage)


def test_without_cdshealpix_positions_are_looked_for_in_all_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    storage = LocalStorage(tmp_path)
    some_archive(storage)
    IndexFollower(storage).catch_up()
    monkeypatch.setitem(sys.modules, "cdshealpix", None)
    found = answers(Archive(storage))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert found == without_index(storage)


def test_threads_may_share_an_archive_and_processes_get_a_copy(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    some_archive(storage)
    archive = Archive(storage)
    expected = without_index(storage)[0]
    IndexFollower(storage).catch_up()
    with ThreadPoolExecutor(4) as pool:
        assert all(each == expected for each in pool.map(archive.lightcurves, [ASKED] * 12))
    assert pickle.loads(pickle.dumps(archive)).lightcurves(ASKED) == expected
