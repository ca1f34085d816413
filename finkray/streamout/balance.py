"""Balance the out-ledger: compare what filters judged and sent with the archive's ledger."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from finkray.errors import LedgerReplaced
from finkray.ledger.follow import Position
from finkray.storage.contract import Storage
from finkray.streamout.alerts import AlertReader
from finkray.streamout.ledger_files import LedgerFile, files_from
from finkray.streamout.progress import Progress
from finkray.streamout.published import PublishedFilter
from finkray.streamout.sender import OutLedger


@dataclass(frozen=True, slots=True)
class FilterBalance:
    """The balance of one filter.

    Attributes
    ----------
    name
        of the filter
    expected
        alerts that the ledger has where the filter has been
    progress
        what it judged and sent
    problem
        what does not fit; empty if all does
    """

    name: str
    expected: int
    progress: Progress
    problem: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"expected": self.expected, "problem": self.problem, **self.progress.to_json()}

    @property
    def text(self) -> str:
        """One line for people."""
        done = self.progress
        line = (
            f"{self.name}: {self.expected:,} alerts = {done.passed:,} passed + "
            f"{done.not_passed:,} not passed + {done.not_judged.total():,} not judged; "
            f"{done.passed:,} passed = {done.sent:,} sent + {done.refused.total():,} refused"
        )
        if done.incomplete:
            line += (
                f"; {done.incomplete:,} sent before all services had answered = "
                f"{done.completed:,} amended + {done.awaiting:,} awaiting + {done.lapsed:,} lapsed"
            )
        return f"{line}: {self.problem}" if self.problem else line


def balances(
    archive: Storage, filters: Sequence[PublishedFilter], done: OutLedger
) -> list[FilterBalance]:
    """Return the balance of each filter that has judged anything.

    Parameters
    ----------
    archive
        the archive
    filters
        the published filters
    done
        what is committed in Kafka
    """
    reader = AlertReader(archive)
    awaiting: Counter[str] = Counter()
    for late in done.late:
        awaiting[late.filter] += len(late.awaiting)
    found = []
    for each in filters:
        if each.name in done.progress:
            balance = _balance(archive, reader, each, done.progress[each.name])
            difference = abs(awaiting[each.name] - balance.progress.awaiting)
            if difference and not balance.problem:
                problem = f"{difference:,} alerts that await answers are not accounted for"
                balance = replace(balance, problem=problem)
            found.append(balance)
    return found


def _balance(
    archive: Storage, reader: AlertReader, published: PublishedFilter, done: Progress
) -> FilterBalance:
    end = Position.from_cursor(done.cursor)
    expected = 0
    problem = ""
    try:
        for item in files_from(archive, Position.from_cursor(done.begin), None):
            if (item.after.seq, item.after.files) > (end.seq, end.files):
                break
            if _counts(reader, published, done, item):
                expected += item.rows
        # The mark of the last entry says whether the ledger is still the one that was read.
        next(files_from(archive, end, done.mark), None)
    except LedgerReplaced as error:
        problem = str(error)
    if not problem and (expected != done.alerts or done.difference):
        difference = abs(expected - done.alerts) + done.difference
        problem = f"{difference:,} alerts are not accounted for"
    return FilterBalance(published.name, expected, done, problem)


def _counts(
    reader: AlertReader, published: PublishedFilter, done: Progress, item: LedgerFile
) -> bool:
    """Return whether the alerts of a file are the filter's to judge, and were there."""
    if item.file is None or item.repaired or any(claim in done.missing for claim in item.claims):
        return False
    schema = reader.packet_schema(item.file.schema_fingerprint)
    survey = published.definition.survey
    return isinstance(schema, str) or survey in (None, schema.survey)
