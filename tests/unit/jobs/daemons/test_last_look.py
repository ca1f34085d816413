"""A daemon records when it looked, and has other work than that."""

import logging
from pathlib import Path

import pytest

from jobs.daemons.last_look import last_look, last_problem, record_look
from tests.support.full_disk import fill_disk


def test_a_look_is_recorded_with_what_fails(tmp_path: Path) -> None:
    assert (last_look(tmp_path, "index"), last_problem(tmp_path, "index")) == (None, "")
    record_look(tmp_path, "index", "no disk")
    first = last_look(tmp_path, "index")
    assert first is not None
    assert last_problem(tmp_path, "index") == "no disk"
    record_look(tmp_path, "index")
    second = last_look(tmp_path, "index")
    assert second is not None
    assert first <= second
    assert last_problem(tmp_path, "index") == ""


def test_a_daemon_goes_on_when_its_look_cannot_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    record_look(tmp_path, "index", "no disk")
    fill_disk(tmp_path, monkeypatch)
    with caplog.at_level(logging.WARNING):
        record_look(tmp_path, "index")
    (line,) = caplog.messages
    assert line.startswith(f"index goes on, but cannot write {tmp_path}/index.json: No space left")
    assert last_problem(tmp_path, "index") == "no disk"
