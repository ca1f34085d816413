"""Nights, all nights together and the object index, built by a process that is killed at random.

`make store-kills KILLS=200` kills as often.
"""

import os
import random
import time
from collections import defaultdict
from pathlib import Path

import pytest

from catalogs.nights.generation import read_committed
from finkray.index.objects import ObjectIndex
from finkray.storage.local import LocalStorage
from tests.support.night_archives import NIGHT, NightArchive, random_sky
from tests.support.night_collections import NEXT, a_night_later, coordinates
from tests.support.store_builder import bring_up_to_date, start

WHOLE = 15
"""Each such process is not killed but timed, for the archive grows; so is the one after the first,
which loads the libraries."""

KILLS = int(os.environ.get("FINKRAY_STORE_KILLS", "12"))
FOLDERS = {
    f"hats/nights/{NIGHT}": {NIGHT},
    f"hats/nights/{NEXT}": {NEXT},
    "hats/all": {NIGHT, NEXT},
}


@pytest.mark.timeout(300 + 30 * KILLS)
def test_a_process_that_is_killed_leaves_what_was_there_or_what_is_new(quick_folder: Path) -> None:
    made = NightArchive(LocalStorage(quick_folder / "archive"))
    uri = made.storage.uri
    lifetimes = random.Random(4)
    sky = random_sky(200)
    # Alerts of each night; and how many a collection had when a process could build it.
    put = {NIGHT: 0, NEXT: 0}
    by_folder: dict[str, set[int]] = defaultdict(set)
    killed = number = 0
    took_s = 0.0
    while killed < KILLS:
        whole = number == 1 or number % WHOLE == 0
        if number % 3 == 0 or whole:  # else the next process continues what was left
            some = sky[(4 * number) % 180 :][:8]
            made.put(some)
            made.put(a_night_later(some[:4], NEXT))
            put[NIGHT] += 8
            put[NEXT] += 4
            for folder, nights in FOLDERS.items():
                by_folder[folder].add(sum(put[night] for night in nights))
        begun_s = time.monotonic()
        process = start(uri)
        process.join(None if whole else lifetimes.uniform(0.02, took_s))
        took_s = time.monotonic() - begun_s if whole else took_s
        if process.is_alive():
            process.kill()
            killed += 1
        process.join()
        assert process.exitcode in {0, -9}
        number += 1
        check(made, by_folder)
    bring_up_to_date(uri)
    check(made, by_folder)
    for folder, nights in FOLDERS.items():
        committed = read_committed(made.storage, folder)
        assert committed is not None
        assert committed.alerts == sum(put[night] for night in nights)
    index = ObjectIndex.open(made.storage)
    assert (index.status().unindexed_files, index.status().indexed_alerts) == (0, sum(put.values()))


def check(made: NightArchive, by_folder: dict[str, set[int]]) -> None:
    """Compare what readers see with what the archive had after one of its claims."""
    for folder, numbers in by_folder.items():
        committed = read_committed(made.storage, folder)
        if committed is None:
            continue
        rows = coordinates(f"{made.storage.uri}/{folder}", committed.generation)
        assert len(set(rows)) == len(rows) == committed.alerts
        assert committed.alerts in numbers
    index = ObjectIndex.open(made.storage)
    names = [f"ZTF26{number:07d}" for number in range(100)]
    found = index.rows_of(names)
    assert found.num_rows == made.next_offset
    assert found.group_by(["file", "row"]).aggregate([]).num_rows == found.num_rows
