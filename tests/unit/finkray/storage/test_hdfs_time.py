"""Calls of a library that may wait for ever, within a limit of time."""

import threading
import time

import pytest

from finkray.storage.hdfs_time import GivenUp, Progress, within


class Panic(BaseException):
    """As the library's."""


def test_a_call_returns_or_raises_what_it_does() -> None:
    assert within(Progress(5), lambda _: 7) == 7
    with pytest.raises(KeyError):
        within(Progress(5), lambda _: {}["a"])


def test_a_panic_of_the_library_is_an_error() -> None:
    def panic(_: Progress) -> None:
        raise Panic("no reactor")

    with pytest.raises(RuntimeError, match="no reactor"):
        within(Progress(5), panic)


def test_a_call_that_was_given_up_does_not_take_its_next_step() -> None:
    goes_on, ended = threading.Event(), threading.Event()
    steps = []

    def call(progress: Progress) -> None:
        goes_on.wait(10)
        try:
            progress.check()
            steps.append("next")
        except GivenUp:
            ended.set()
            raise

    started_s = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
        within(Progress(0.05), call)
    assert time.monotonic() - started_s < 5
    goes_on.set()
    assert ended.wait(10)
    assert steps == []


def test_the_limit_counts_anew_with_each_step_that_was_done() -> None:
    def call(progress: Progress) -> str:
        for _ in range(6):
            time.sleep(0.1)
            progress.moved()
        return "done"

    assert within(Progress(0.5), call) == "done"
