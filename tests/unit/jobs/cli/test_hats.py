"""`finkray hats`: what it builds, lists and refuses."""

import json
import threading
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from finkray.settings.model import Settings
from finkray.storage.local import LocalStorage
from jobs.commands.hats import NightsCommand, list_nights
from tests.support.commands import Finkray
from tests.support.night_archives import NIGHT, Made, NightArchive, random_sky


@pytest.fixture
def archive(tmp_path: Path) -> NightArchive:
    """An archive of a night that is not over for years, and of one that is."""
    made = NightArchive(LocalStorage(tmp_path / "archive"))
    sky = random_sky(30)
    past, future = date(2020, 1, 2), date(2096, 1, 2)
    made.put([Made(one.object_id, one.candidate, one.history, past) for one in sky[:20]])
    made.put([Made(one.object_id, one.candidate, one.history, future) for one in sky[20:]])
    return made


def test_a_night_is_built_listed_and_left_as_it_is(archive: NightArchive, finkray: Finkray) -> None:
    assert "no night is built" in finkray("hats", "list").stdout
    built = finkray("hats", "build", "--night", "2020-01-02")
    assert built.returncode == 0, built.stderr
    line = "2020-01-02 ztf: 20 alerts of 10 objects, generation 1, in "
    assert line in built.stdout
    assert line in finkray("hats", "list").stdout
    (again,) = json.loads(finkray("hats", "build", "--night", "2020-01-02", "--json").stdout)
    (listed,) = json.loads(finkray("hats", "list", "--json").stdout)
    assert again == listed
    assert listed["uri"] == f"{archive.storage.uri}/hats/nights/2020-01-02"
    assert listed["alerts_uri"] == f"{listed['uri']}/g1/alerts"
    assert (listed["survey"], listed["generation"], listed["without_position"]) == ("ztf", 1, 0)
    told = finkray("hats", "consolidate").stdout
    assert "1 nights of ztf: 20 alerts of 10 objects, generation 1, in " in told
    assert "; 1 nights that are not built are left out, the first 2096-01-02" in told
    (done,) = json.loads(finkray("hats", "consolidate", "--json").stdout)
    assert (done["nights"], done["left_out"]) == (["2020-01-02"], ["2096-01-02"])
    assert done["uri"] == f"{archive.storage.uri}/hats/all"
    assert finkray("hats", "list", "--json").stdout.count("alerts_uri") == 1  # nights alone


def test_what_cannot_be_built_is_told(archive: NightArchive, finkray: Finkray) -> None:
    for options, code, words in (
        (["2096-01-02"], 1, "is not complete: it ends at 2096-01-03T20:00 UTC"),
        (["2020-01-03"], 1, "no alerts of night 2020-01-03: it has 2020-01-02, 2096-01-02"),
        (["2020-01-02", "--survey", "lsst"], 1, "no alerts of lsst of night 2020-01-02"),
        (["2020-01-02", "--survey", "sdss"], 2, "expected ztf or lsst"),
        (["yesterday"], 2, "'yesterday' is no night: expected a date"),
    ):
        answer = finkray("hats", "build", "--night", *options)
        assert answer.returncode == code
        assert words in answer.stderr
    assert finkray("hats", "build", "--night", "2096-01-02", "--incomplete").returncode == 0
    assert not archive.storage.folders("hats/nights/2020-01-02")
    for options, code, words in (
        (["--survey", "lsst"], 1, "no night is built with all its alerts"),
        (["--survey", "sdss"], 2, "expected ztf or lsst"),
    ):
        answer = finkray("hats", "consolidate", *options)
        assert (answer.returncode, words in answer.stderr) == (code, True)


def test_without_an_archive_it_says_so(finkray: Finkray) -> None:
    answer = finkray("hats", "build", "--night", "2020-01-02")
    assert answer.returncode == 2
    assert "there is no archive in" in answer.stderr


def test_a_request_to_stop_ends_the_command_and_the_next_one_builds(tmp_path: Path) -> None:
    made = NightArchive(LocalStorage(tmp_path / "archive"))
    made.put(random_sky(20))
    settings = Settings.model_validate({"archive": {"uri": made.storage.uri}})
    stopping = threading.Event()

    def stop_at_the_leaves(text: str) -> None:
        if text.startswith("wrote 1 of"):
            stopping.set()

    over = datetime(2026, 11, 26, tzinfo=UTC)
    stopped = NightsCommand(settings, stopping, stop_at_the_leaves)
    assert stopped.build(NIGHT, None, None, over) is None
    assert list_nights(settings) == []
    again = NightsCommand(settings, threading.Event(), lambda _: None)
    (night,) = again.build(NIGHT, None, tmp_path, over) or []
    assert (night.committed.alerts, night.committed.generation) == (20, 1)
