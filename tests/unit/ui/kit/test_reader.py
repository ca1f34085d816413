import logging
import threading
from collections.abc import Callable

import pytest

from finkray.monitor.clock import Moment, utc_of
from finkray.status.archive import Snapshot
from tests.support.snapshots import busy_night
from ui.kit.reader import Reader
from ui.kit.reading import failure_banner


def wait_until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(1000):
        if condition():
            return
        pause.wait(0.01)
    pytest.fail("the condition did not become true within 10 s")


def test_the_latest_answer_is_kept_and_follows_the_source() -> None:
    answers: list[Snapshot | None] = [None, busy_night(), busy_night(epoch=8)]
    reader = Reader(lambda: answers.pop(0) if len(answers) > 1 else answers[0], 0.01, "status")
    reader.start()
    try:
        wait_until(lambda: (newest := reader.latest().value) is not None and newest.epoch == 8)
        assert reader.latest().problem is None
    finally:
        reader.stop()


def test_a_failing_source_keeps_its_last_value_is_logged_once_and_recovers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reads = 0

    def source() -> Snapshot:
        nonlocal reads
        reads += 1
        if 1 < reads < 6:
            raise OSError("no route to host")
        return busy_night(epoch=reads)

    reader = Reader(source, 0.05, "status")
    with caplog.at_level(logging.ERROR):
        reader.start()
        try:
            wait_until(lambda: reader.latest().problem == "OSError: no route to host")
            kept = reader.latest().value
            assert kept is not None
            assert kept.epoch == 1
            wait_until(lambda: reads >= 6 and reader.latest().problem is None)
        finally:
            reader.stop()
    (record,) = caplog.records
    assert "cannot read the source 'status'" in record.getMessage()


def test_a_source_that_hangs_blocks_no_caller() -> None:
    release = threading.Event()

    def source() -> Snapshot | None:
        release.wait()
        return None

    reader = Reader(source, 0.01, "status")
    reader.start()
    assert reader.latest().problem == "not read yet"
    reader.stop(timeout_s=0.05)
    release.set()


@pytest.mark.parametrize("set_s", [0.0, 3600.0, -3600.0])
def test_a_source_that_hangs_is_told_whatever_the_clock_is_set_to(set_s: float) -> None:
    at = Moment(1_764_000_000.0, 77.0)
    reader = Reader(busy_night, 60.0, "status", lambda: at)
    reader.start()
    try:
        wait_until(lambda: reader.latest().value is not None)
        for silent_s, told in ((10, False), (60, True)):
            at = Moment(1_764_000_000.0 + silent_s + set_s, 77.0 + silent_s)
            banner = failure_banner(reader.latest(), utc_of(at), "the status")
            assert (banner is not None) == told
        assert banner is not None
        assert banner.headline == "no answer for 1 min 0 s"
    finally:
        reader.stop()
