"""Look-ups run in a process of their own, with limits."""

import os
import time
from collections.abc import Callable, Iterator

import pytest

from finkray.errors import UnknownObject
from finkray.reader import Archive
from finkray.storage.local import LocalStorage
from ui.lookups.process import DATA_BYTES, LookupRefused, Lookups


def process_id(_: Archive) -> int:
    return os.getpid()


def fail(_: Archive, error: Exception) -> None:
    raise error


def die(_: Archive) -> None:
    os._exit(1)


def sleep(_: Archive) -> None:
    time.sleep(60)


def take(_: Archive, size: int) -> int:
    return len(bytearray(size))


class SlowToLoad:
    """Stands for code that takes long to load on a busy machine."""

    def __reduce__(self) -> tuple[Callable[[float], None], tuple[float]]:
        return time.sleep, (2.5,)


def ignore(_: Archive, __: object) -> str:
    return "answered"


@pytest.fixture(scope="module")
def lookups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lookups]:
    asked = Lookups(LocalStorage(tmp_path_factory.mktemp("archive")), timeout_s=60.0)
    yield asked
    asked.close()


def test_look_ups_share_one_process_which_is_not_ours(lookups: Lookups) -> None:
    first = lookups.ask(process_id)
    assert first == lookups.ask(process_id) != os.getpid()


def test_an_error_becomes_a_refusal_and_the_process_lives_on(lookups: Lookups) -> None:
    before = lookups.ask(process_id)
    with pytest.raises(LookupRefused, match="no such object") as refused:
        lookups.ask(fail, UnknownObject("no such object"))
    assert refused.value.status == 422
    assert lookups.ask(process_id) == before


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (OverflowError("Python int too large"), 422, "OverflowError: Python int too large"),
        (KeyError("x"), 500, r"a bug: KeyError\('x'\); the log of the page shows where"),
    ],
)
def test_any_error_is_told_and_the_process_lives_on(
    lookups: Lookups, error: Exception, status: int, message: str
) -> None:
    before = lookups.ask(process_id)
    with pytest.raises(LookupRefused, match=message) as refused:
        lookups.ask(fail, error)
    assert refused.value.status == status
    assert lookups.ask(process_id) == before


def test_memory_is_bounded(lookups: Lookups) -> None:
    with pytest.raises(LookupRefused, match="too much memory"):
        lookups.ask(take, DATA_BYTES)


def test_the_time_until_the_code_is_loaded_is_not_that_of_the_look_up(
    lookups: Lookups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "_timeout_s", 2.0)
    assert lookups.ask(ignore, SlowToLoad()) == "answered"


def test_what_takes_too_long_or_dies_ends_and_the_next_look_up_is_answered(
    lookups: Lookups, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lookups.ask(process_id)
    with pytest.raises(LookupRefused, match="its process ended"):
        lookups.ask(die)
    monkeypatch.setattr(lookups, "_timeout_s", 0.0)
    with pytest.raises(LookupRefused, match="longer than 0 s") as refused:
        lookups.ask(sleep)
    assert refused.value.status == 504
    monkeypatch.undo()
    assert lookups.ask(process_id) != before
