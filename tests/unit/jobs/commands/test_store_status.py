"""What `finkray status` says of the HATS nights and the object index."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from catalogs.nights.progress import read_nights_progress
from finkray.index.follower import IndexFollower
from finkray.index.lag import read_index_lag
from finkray.index.manifest import STEPS_FOLDER
from finkray.storage.local import LocalStorage
from jobs.commands.store_status import read_store_status, store_lines
from jobs.daemons.last_look import last_look, last_problem, record_look
from tests.support.commands import Finkray
from tests.support.night_archives import NIGHT, NightArchive, build, random_sky

OVER = datetime(2026, 11, 25, 20, tzinfo=UTC)


def test_built_and_waiting_nights_and_the_lag_of_the_index_are_told(tmp_path: Path) -> None:
    made = NightArchive(LocalStorage(tmp_path / "archive"))
    sky = random_sky(60)
    made.put(sky[:20])
    assert store_lines(read_store_status(made.storage, tmp_path), OVER) == []  # nothing is used
    build(made.storage)
    IndexFollower(made.storage).catch_up()
    lag = read_index_lag(made.storage, OVER)
    assert lag is not None
    assert (lag.alerts, lag.claims_behind, lag.alerts_behind, lag.behind_s) == (20, 0, 0, 0.0)
    progress = read_nights_progress(made.storage, OVER)
    assert progress is not None
    assert progress.last is not None
    assert (progress.last_night, progress.built, progress.waiting) == (NIGHT, 1, ())

    before = datetime.now(UTC)
    made.put(sky[20:40])
    made.put(sky[40:])
    lag = read_index_lag(made.storage, before + timedelta(minutes=5))
    assert lag is not None
    assert (lag.claims_behind, lag.alerts_behind) == (2, 40)
    assert 240 < lag.behind_s <= 300
    IndexFollower(made.storage).catch_up()
    build(made.storage)  # of all three claims
    made.put(random_sky(10, seed=8))
    later = read_nights_progress(made.storage, OVER)
    assert later is not None
    assert later.last is not None
    assert (later.last.generation, later.last.alerts, later.built) == (2, 60, 1)


def test_a_night_that_is_over_and_lacks_alerts_waits(tmp_path: Path, finkray: Finkray) -> None:
    made = NightArchive(LocalStorage(tmp_path / "archive"))
    made.put(random_sky(20))
    build(made.storage)
    IndexFollower(made.storage).catch_up()
    made.put(random_sky(10, seed=8))
    # `finkray start hats` looks for new files; here `hats build` of a night that is not there.
    assert finkray("hats", "build", "--night", "2020-01-01").returncode == 1
    progress = read_nights_progress(made.storage, OVER)
    assert progress is not None
    assert (progress.built, progress.waiting) == (0, (NIGHT,))
    early = read_nights_progress(made.storage, OVER - timedelta(minutes=1))
    assert early is not None
    assert early.waiting == ()

    shown = json.loads(finkray("status", "--json").stdout)
    assert shown["hats"]["last"]["night"] == "2026-11-24"
    assert (shown["hats"]["last"]["generation"], shown["hats"]["error"]) == (1, None)
    assert (shown["index"]["claims_behind"], shown["index"]["alerts_behind"]) == (1, 10)
    text = " ".join(finkray("status").stdout.replace("\u2009", "").split())
    assert "hats: last night 2026-11-24 of ztf, generation 1, 20 alerts, built 20" in text
    assert "index: 20 alerts in 1 runs, 1 claims with 10 alerts and" in text


def test_what_a_daemon_could_not_do_is_told_until_it_can(tmp_path: Path) -> None:
    archive = LocalStorage(tmp_path / "archive")
    NightArchive(archive).put(random_sky(4))
    record_look(tmp_path, "hats", "night 2026-11-24 of ztf: no room")
    (line,) = store_lines(read_store_status(archive, tmp_path), OVER)
    assert line == "hats: failed: night 2026-11-24 of ztf: no room"
    record_look(tmp_path, "hats")
    assert (last_problem(tmp_path, "hats"), last_look(tmp_path, "hats") is None) == ("", False)
    assert store_lines(read_store_status(archive, tmp_path), OVER) == []
    archive.create(f"{STEPS_FOLDER}/{1:020d}.json", b"{}")
    (line,) = store_lines(read_store_status(archive, tmp_path), OVER)
    assert line.startswith("index: failed: a step of the object index is not readable")
