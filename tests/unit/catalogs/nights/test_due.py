"""When a night is due, and what happens to one that cannot be built."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from catalogs.nights.due import NightBuilder
from catalogs.nights.listing import built_nights
from finkray.storage.local import LocalStorage
from tests.support.night_archives import NIGHT, NightArchive, random_sky

END = datetime(2026, 11, 25, 20, tzinfo=UTC)
"""When the next night begins at Palomar."""


class Clock:
    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def made(quick_folder: Path) -> NightArchive:
    return NightArchive(LocalStorage(quick_folder / "archive"))


def test_a_night_is_built_when_it_is_over_and_again_when_alerts_came_late(
    made: NightArchive,
) -> None:
    clock = Clock(END - timedelta(minutes=1))
    builder = NightBuilder(made.storage, threading.Event(), settle_s=0.0, now=clock)
    sky = random_sky(30)
    made.put(sky[:20])
    builder.look()
    assert builder.build_due() == []
    clock.at = END
    assert builder.build_due() == [("ztf", NIGHT)]
    assert builder.build_due() == []
    made.put(sky[20:])
    builder.look()
    assert builder.build_due() == [("ztf", NIGHT)]
    (night,) = built_nights(made.storage)
    assert (night.committed.generation, night.committed.alerts) == (2, 30)
    # A day later the first one is deleted.
    clock.at = night.committed.built_at + timedelta(hours=25)
    assert builder.build_due() == []
    assert [folder[-2:] for folder in made.storage.folders("hats/nights/2026-11-24")] == ["g2"]


def test_a_night_of_which_alerts_still_come_waits_until_they_have_settled(
    made: NightArchive,
) -> None:
    builder = NightBuilder(made.storage, threading.Event(), settle_s=3600.0, now=Clock(END))
    sky = random_sky(30)
    made.put(sky[:20])
    builder.look()  # the first look: what is there has settled
    assert builder.build_due() == [("ztf", NIGHT)]
    made.put(sky[20:])
    builder.look()
    assert builder.build_due() == []
    # A builder that starts later finds it settled.
    again = NightBuilder(made.storage, threading.Event(), settle_s=3600.0, now=Clock(END))
    again.look()
    assert again.build_due() == [("ztf", NIGHT)]


def test_a_night_that_cannot_be_built_is_told_once_and_tried_later(
    made: NightArchive, caplog: pytest.LogCaptureFixture
) -> None:
    made.put(random_sky(10))
    builder = NightBuilder(made.storage, threading.Event(), settle_s=0.0, now=Clock(END))
    builder.look()
    (file,) = made.storage.walk("alerts")
    data = made.storage.read(file.path)
    assert data is not None
    made.storage.delete([file.path])
    assert builder.build_due() == []
    assert builder.build_due() == []
    assert caplog.text.count("night 2026-11-24 of ztf not built, will retry") == 1
    assert builder.problem.startswith("night 2026-11-24 of ztf: ")
    made.storage.replace(file.path, data)
    again = NightBuilder(made.storage, threading.Event(), settle_s=0.0, now=Clock(END))
    again.look()
    assert again.build_due() == [("ztf", NIGHT)]
    assert again.problem == ""


def test_a_request_to_stop_ends_a_build(made: NightArchive) -> None:
    made.put(random_sky(10))
    stopping = threading.Event()
    builder = NightBuilder(made.storage, stopping, settle_s=0.0, now=Clock(END))
    builder.look()
    stopping.set()
    assert builder.build_due() == []
    assert list(built_nights(made.storage)) == []
