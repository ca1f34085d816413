"""What streaming out reports about itself while parts of it fail."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from finkray.settings.model import Settings
from finkray.status.streamout import GroupLag
from finkray.streamout import group_lag
from jobs.daemons import streamout_report
from jobs.daemons.streamout_report import Reporter
from tests.support.archiving import wait_until


def test_consumer_groups_are_looked_at_again_after_any_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lag = GroupLag(group="a", topic="t", lag=3)
    looks = iter([RuntimeError("can't start new thread"), (lag,)])

    def look(*_: object) -> tuple[GroupLag, ...]:
        found = next(looks, (lag,))
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(group_lag, "group_lags", look)
    monkeypatch.setattr(streamout_report, "REPORT_S", 0.01)
    snapshots: list[str] = []
    board = SimpleNamespace(publish=SimpleNamespace(remote=snapshots.append))
    engine: Any = SimpleNamespace(statuses=lambda: ())
    reporter = Reporter(Settings(), board)

    def reported() -> bool:
        reporter.report(engine, "")
        return bool(snapshots and json.loads(snapshots[-1])["groups"])

    try:
        wait_until("the lag of a group", reported)
    finally:
        reporter.close()
    assert "not known: " in caplog.text
