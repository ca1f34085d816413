"""A call that does not return is left behind."""

from threading import Event

import pytest

from finkray.host.time_limit import returns_within


def test_a_call_that_does_not_return_is_left_behind() -> None:
    end = Event()
    assert not returns_within(end.wait, 0.05)
    end.set()
    assert returns_within(end.wait, 60)


def test_what_a_call_raises_reaches_its_caller() -> None:
    def refuse() -> None:
        raise OSError("refused")

    with pytest.raises(OSError, match="refused"):
        returns_within(refuse, 60)
