"""Ctrl-C at a command that brings something to an end."""

import os
import signal

import pytest

from jobs.interrupt import asked_by_interrupt


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


class Thing:
    def __del__(self) -> None:
        interrupt()


def test_the_first_is_heard_also_while_something_is_cleared_away() -> None:
    with asked_by_interrupt() as asked:
        assert not asked.is_set()
        Thing()
        assert asked.is_set()


def test_the_second_is_as_always() -> None:
    with asked_by_interrupt():
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            interrupt()


def test_afterwards_the_first_is_as_always_too() -> None:
    with asked_by_interrupt():
        interrupt()
    with pytest.raises(KeyboardInterrupt):
        interrupt()
