"""Calls of a library that may wait for ever, within a limit of time."""

import threading
import time

import pytest

from finkray.storage.hdfs_time import CallLimit, GivenUp, within


class Panic(BaseException):
    """As the library's."""


def test_a_call_returns_or_raises_what_it_does() -> None:
    assert within(CallLimit(5), lambda _: 7) == 7
    with pytest.raises(KeyError):
        within(CallLimit(5), lambda _: {}["a"])


def test_a_panic_of_the_library_is_an_error() -> None:
    def panic(_: CallLimit) -> None:
        raise Panic("no reactor")

    with pytest.raises(RuntimeError, match="no reactor"):
        within(CallLimit(5), panic)


def test_a_call_that_was_given_up_does_not_take_its_next_step() -> None:
    goes_on, ended = threading.Event(), threading.Event()
    steps = []

    def call(limit: CallLimit) -> None:
        goes_on.wait(10)
        try:
            limit.check()
            steps.append("next")
        except GivenUp:
            ended.set()
            raise

    started_s = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
        within(CallLimit(0.05), call)
    assert time.monotonic() - started_s < 5
    goes_on.set()
    assert ended.wait(10)
    assert steps == []


def test_the_limit_counts_anew_with_each_step_that_was_done() -> None:
    def call(limit: CallLimit) -> str:
        for _ in range(6):
            time.sleep(0.1)
            limit.moved()
        return "done"

    assert within(CallLimit(0.5), call) == "done"
