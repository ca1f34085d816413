"""All nights as one collection: its rows, its curves, when it is made, and what a kill leaves."""

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import lsdb
import polars as pl
import pytest
from hats.io.validation import is_valid_catalog

import finkray
from catalogs.nights.all_nights import AllNights, consolidate, find_all
from catalogs.nights.due import NightBuilder
from catalogs.nights.generation import Committed, read_committed
from catalogs.nights.index import NightIndex
from catalogs.nights.steps import Steps
from finkray.curves.schema import POINT
from finkray.storage.contract import Storage
from finkray.storage.local import LocalStorage
from tests.support.night_archives import NIGHT, NightArchive, build, random_sky
from tests.support.night_collections import NEXT, a_night_later, coordinates, rows_of
from tests.support.torn_storage import Killed, TornStorage

LEAVES = {"leaf_rows": 12, "object_leaf_rows": 12}

KILLS = int(os.environ.get("FINKRAY_STORE_KILLS", "6"))


@pytest.fixture
def made(quick_folder: Path) -> NightArchive:
    return NightArchive(LocalStorage(quick_folder / "archive"))


def all_of(storage: Storage) -> AllNights:
    index = NightIndex(storage)
    index.update(Steps())
    (nights,) = find_all(storage, index)
    return nights


def consolidated(storage: Storage) -> Committed:
    return consolidate(storage, all_of(storage), Steps(), **LEAVES)  # type: ignore[arg-type]


def test_its_rows_are_those_of_the_nights_and_its_curves_those_of_the_archive(
    made: NightArchive,
) -> None:
    sky = random_sky(60)
    made.put(sky)
    made.put(a_night_later(sky[:30]))
    build(made.storage)
    only = consolidated(made.storage)  # the next night is not built yet
    assert (only.alerts, all_of(made.storage).left_out) == (60, (NEXT,))
    build(made.storage, NEXT)
    done = consolidated(made.storage)
    assert (done.generation, done.alerts, done.objects) == (2, 90, 30)
    assert consolidated(made.storage) == done  # nothing is new

    root = made.storage.uri
    nights = [f"{root}/hats/nights/{night}" for night in (NIGHT, NEXT)]
    assert coordinates(f"{root}/hats/all") == sorted(
        coordinates(nights[0]) + coordinates(nights[1])
    )
    objects = rows_of(f"{root}/hats/all", "object_lc")
    assert objects["n_alerts"].sum() == 90
    lists = objects.select("objectId", pl.col("lc")).unnest("lc")
    curves = finkray.open_archive(root).lightcurves(objects["objectId"].to_list())
    names = [name for name in POINT.names if name not in {"survey", "object_id"}]
    points = lists.explode(names).sort("objectId", "mjd_tai", "kind", "key")
    expected = pl.DataFrame(curves).sort("object_id", "mjd_tai", "kind", "key")
    assert points["objectId"].to_list() == expected["object_id"].to_list()
    assert points.select(names).equals(expected.select(names))

    assert is_valid_catalog(Path(root) / "hats/all", strict=True)
    opened = lsdb.open_catalog(Path(root) / "hats/all").compute(progress_bar=False)
    assert sorted(opened["objectId"]) == sorted(objects["objectId"])


def test_a_kill_at_any_moment_leaves_it_whole_or_absent(quick_folder: Path) -> None:
    made = NightArchive(LocalStorage(quick_folder / "archive"))
    sky = random_sky(24)
    made.put(sky)
    made.put(a_night_later(sky[:12]))
    build(made.storage)
    build(made.storage, NEXT)
    root = Path(made.storage.uri) / "hats/all"
    nights = all_of(made.storage)
    expected = sorted(
        row
        for night in (NIGHT, NEXT)
        for row in coordinates(f"{made.storage.uri}/hats/nights/{night}")
    )
    counting = TornStorage(made.storage)
    counting.arm(10_000, kills=True, done_first=False)
    consolidate(counting, nights, Steps(), **LEAVES)  # type: ignore[arg-type]
    assert counting.steps is not None
    steps = 10_000 - counting.steps
    killed = 0
    for at in range(KILLS):
        made.storage.delete_folder("hats/all")
        torn = TornStorage(made.storage)
        torn.arm(3 + at * (steps - 3) // KILLS, kills=True, done_first=at % 2 == 0)
        try:
            consolidate(torn, nights, Steps(), **LEAVES)  # type: ignore[arg-type]
        except Killed:
            killed += 1
        if (root / "collection.properties").exists():
            assert coordinates(str(root)) == expected
        if at % 4 == 0:  # the next one continues what was left
            assert consolidate(made.storage, nights, Steps(), **LEAVES).alerts == 36  # type: ignore[arg-type]
            assert coordinates(str(root)) == expected
    assert killed == KILLS


def test_the_daemon_consolidates_once_a_week_and_when_no_night_waits(made: NightArchive) -> None:
    end = datetime(2026, 11, 25, 20, tzinfo=UTC)
    now = end
    builder = NightBuilder(made.storage, threading.Event(), settle_s=0.0, now=lambda: now)

    def look() -> list[str]:
        builder._all_not_before_s = 0.0  # an hour later
        return builder.consolidate_due()

    sky = random_sky(20)
    made.put(sky)
    builder.look()
    assert builder.build_due() == [("ztf", NIGHT)]
    assert look() == []  # a week from the first night on
    made.put(sky[:4])
    builder.look()
    now = datetime.now(UTC) + timedelta(days=8)
    assert look() == []  # the night has alerts that its generation lacks
    assert builder.build_due() == [("ztf", NIGHT)]
    assert look() == ["ztf"]
    first = read_committed(made.storage, "hats/all")
    assert first is not None
    assert (first.alerts, builder.problem) == (24, "")
    now += timedelta(days=8)
    assert look() == []  # nothing is new
