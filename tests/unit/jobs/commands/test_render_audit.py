"""The text that `finkray audit` prints."""

import io
from datetime import UTC, datetime
from typing import get_args

import pytest
from rich.console import Console

from finkray.audit.audit import balance
from finkray.audit.files import FileComparison
from finkray.audit.report import FileFinding, FileProblem
from finkray.claim import TopicPartition
from finkray.intervals import IntervalSet
from finkray.kafka.cluster import Watermarks
from finkray.ledger.state import LedgerState, Totals
from jobs.commands.render_audit import WHAT_TO_DO, audit_text
from tests.support.ledgers import ZTF


def shown(
    state: LedgerState, *found: FileFinding, kafka: dict[TopicPartition, Watermarks] | None = None
) -> str:
    console = Console(file=io.StringIO(), width=160)
    report = balance(kafka, state, FileComparison(found), "here", datetime.now(UTC))
    console.print(audit_text(report))
    return " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]


def archive(*covered: tuple[int, int], starts: tuple[int, ...] = (0,)) -> LedgerState:
    state = LedgerState()
    state.add_range(ZTF, IntervalSet(covered), Totals(1, archived=IntervalSet(covered).size))
    for start in starts:
        state.add_start(ZTF, start)
    return state


def test_offsets_that_wait_for_the_backfill_are_counted_and_are_no_fault() -> None:
    text = shown(archive((0, 9), (100, 109), starts=(0, 100)))
    assert "90 of the waiting offsets wait for the backfill, which a running archive works" in text
    assert "difference 0 waiting in Kafka 90" in text
    assert text.endswith("balanced")
    assert "NOT" not in text


def test_missing_ranges_are_listed() -> None:
    text = shown(archive((0, 9), (100, 109)))
    assert "missing: ztf_20261124_programid1[0] 10-99" in text
    assert "NOT balanced" in text
    assert "backfill" not in text


@pytest.mark.parametrize("problem", get_args(FileProblem))
def test_a_redrive_is_advised_only_where_it_helps(problem: FileProblem) -> None:
    text = shown(archive((0, 9)), FileFinding(path="alerts/a.parquet", problem=problem))
    assert f"{problem}: alerts/a.parquet" in text
    advice = text.split("NOT balanced ")[1]
    assert advice == f"{problem}: {WHAT_TO_DO[problem]}"
    assert ("--redrive" in advice) == (problem in ("missing", "damaged", "named in part"))


def test_a_redrive_is_not_advised_for_messages_that_kafka_lost() -> None:
    text = shown(archive((0, 9)), kafka={ZTF: Watermarks(0, 5)})
    assert "in the archive, but not in Kafka yet: ztf_20261124_programid1[0] 5-9" in text
    assert "--redrive" not in text
    assert "ask its operator" in text


def test_each_of_several_problems_has_its_advice() -> None:
    stray = FileFinding(path="alerts/a.parquet", problem="stray")
    advice = shown(archive((0, 9), (100, 109)), stray).split("NOT balanced ")[1]
    assert advice == f"missing: {WHAT_TO_DO['missing']} stray: {WHAT_TO_DO['stray']}"
