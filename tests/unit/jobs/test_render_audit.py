"""What `finkray audit` says to a person."""

import io
from datetime import UTC, datetime

from rich.console import Console

from finkray.audit.audit import balance
from finkray.audit.files import FilesThere
from finkray.intervals import IntervalSet
from finkray.ledger.state import LedgerState, Totals
from jobs.render_audit import audit_text
from tests.ledgers import ZTF


def shown(state: LedgerState) -> str:
    console = Console(file=io.StringIO(), width=160)
    report = balance(None, state, FilesThere(()), "here", datetime.now(UTC))
    console.print(audit_text(report))
    return " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]


def archive(*covered: tuple[int, int], starts: tuple[int, ...] = (0,)) -> LedgerState:
    state = LedgerState()
    state.add_range(ZTF, IntervalSet(covered), Totals(1, archived=IntervalSet(covered).size))
    for start in starts:
        state.add_start(ZTF, start)
    return state


def test_what_waits_for_the_backfill_is_said_and_is_no_fault() -> None:
    text = shown(archive((0, 9), (100, 109), starts=(0, 100)))
    assert "90 of those that wait, wait for the backfill: a running archive brings them in" in text
    assert "difference 0 waiting 90" in text
    assert text.endswith("balanced")
    assert "NOT" not in text


def test_what_is_missing_is_listed() -> None:
    text = shown(archive((0, 9), (100, 109)))
    assert "missing: ztf_20261124_programid1[0] 10-99" in text
    assert "NOT balanced" in text
    assert "backfill" not in text
