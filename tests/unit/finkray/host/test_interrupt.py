"""Ctrl-C in a command that must finish what it started."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from finkray.host.interrupt import (
    Interrupts,
    deferred_interrupts,
    endings_interrupt,
    stop_on_interrupt,
)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


class Thing:
    def __del__(self) -> None:
        interrupt()


def test_the_first_interrupt_counts_even_during_a_clean_up() -> None:
    with stop_on_interrupt() as asked:
        assert not asked.is_set()
        Thing()
        assert asked.is_set()


def test_the_second_interrupt_raises() -> None:
    with stop_on_interrupt():
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            interrupt()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_and_a_closed_terminal_count_as_a_first_interrupt(number: int) -> None:
    with stop_on_interrupt() as asked:
        for _ in range(2):  # a shell sends its own SIGHUP after the kernel's
            os.kill(os.getpid(), number)
            assert asked.is_set()
        with pytest.raises(KeyboardInterrupt):
            interrupt()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_and_a_closed_terminal_interrupt_a_command(number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), endings_interrupt():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before


def test_a_command_that_shall_outlive_its_terminal_does() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with endings_interrupt(), stop_on_interrupt() as asked:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not asked.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_after_the_block_the_first_interrupt_raises() -> None:
    with stop_on_interrupt():
        interrupt()
    with pytest.raises(KeyboardInterrupt):
        interrupt()


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    one = Interrupts()
    one.install()
    yield one
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_interrupts_the_command_where_it_is(
    interrupts: Interrupts, number: int
) -> None:
    interrupts.check()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_dropped_is_raised_at_the_next_step(
    interrupts: Interrupts,
) -> None:
    Thing()
    with pytest.raises(KeyboardInterrupt):
        interrupts.check()


def test_no_signal_interrupts_the_clean_up(interrupts: Interrupts) -> None:
    with pytest.raises(KeyboardInterrupt), interrupts.ignored_after():
        interrupt()
    raised = False
    try:
        interrupt()
    except KeyboardInterrupt:
        raised = True
    assert not raised


def test_an_ignored_sighup_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        Interrupts().install()
        # `nohup` ignores the signal; a handler in its place would raise KeyboardInterrupt.
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGHUP)
    finally:
        for number, handler in {**kept, signal.SIGHUP: before}.items():
            signal.signal(number, handler)


def test_an_interrupt_is_deferred_to_the_end_of_the_block() -> None:
    done = []

    def work() -> None:
        with deferred_interrupts():
            interrupt()
            done.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["all of it"]


def disposition() -> str:
    code = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_children_handle_sigint_even_if_the_command_ignores_it() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert disposition() == "True"
        with deferred_interrupts():
            assert disposition() == "False"
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
