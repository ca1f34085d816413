"""`finkray audit` as a person reads it."""

from collections.abc import Iterator
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from finkray.audit.report import AuditReport
from finkray.status.archive import BalanceSheet
from jobs.commands.render_status import balance_table

SHOWN = 10
"""How many ranges or files of a kind are listed; `--json` has them all."""

WHAT_TO_DO: Final = {
    "missing": "`finkray audit --redrive` brings in what Kafka still holds; the archive must "
    "not run meanwhile",
    "damaged": "move the file out of the archive's folder; it is missing then, and "
    "`finkray audit --redrive` makes it again",
    "stray": "move the file out of the archive's folder: no claim needs it",
    "named twice": "the ledger contradicts itself, which no command mends: keep `finkray audit "
    "--json`, and tell the developers",
    "not in Kafka yet": "Kafka has lost messages, or is another than it says: ask who runs it; the "
    "archive has them",
    "inside a file": "a file that cannot be read is as a damaged one; of all else keep `finkray "
    "audit --deep … --json`, and tell the developers",
    "difference": "no range and no file explains it: keep `finkray audit --json`, and tell the "
    "developers",
}
"""What helps, by kind; docs/operations.md says more."""


def audit_text(report: AuditReport) -> RenderableType:
    """The balance sheet, what is wrong, and the verdict."""
    return Group(balance_table(balance_of(report)), *_lines(report), _verdict(report))


def balance_of(report: AuditReport) -> BalanceSheet:
    """The sums of a report as the snapshot has them."""
    return BalanceSheet(
        received=report.received,
        archived=report.archived,
        dead_lettered=report.dead_lettered,
        expired=report.expired,
        not_delivered=report.not_delivered,
        waiting=report.waiting,
    )


def _lines(report: AuditReport) -> Iterator[Text]:
    missing = [f"missing: {found.claim}" for found in report.missing_ranges]
    beyond = [
        f"in the archive, but not in Kafka yet: {found.claim}" for found in report.beyond_kafka
    ]
    files = [f"{found.problem}: {found.path}" for found in report.file_findings]
    for kind in (missing, beyond, files):
        yield from (Text(line, style="red") for line in kind[:SHOWN])
        if len(kind) > SHOWN:
            yield Text(f"… and {len(kind) - SHOWN} more; --json lists them all")
    if report.deferred:
        yield Text(
            f"{report.deferred} of those that wait, wait for the backfill: a running archive "
            "brings them in"
        )
    if report.unpublished_files:
        yield Text(f"{report.unpublished_files} committed files are on their way to their place")
    if report.checked_against_disk_alone:
        yield Text(
            f"{report.checked_against_disk_alone} offsets are no longer in Kafka: "
            "checked against disk alone"
        )
    if report.deep is not None:
        yield Text(f"opened {report.deep.files} files of {report.deep.claims} claims")
        yield from (Text(str(found), style="red") for found in report.deep.findings[:SHOWN])


def _verdict(report: AuditReport) -> Text:
    if report.balanced:
        return Text("balanced", style="bold green")
    lines = ["NOT balanced", *(f"{kind}: {WHAT_TO_DO[kind]}" for kind in kinds_of(report))]
    return Text("\n".join(lines), style="bold red")


def kinds_of(report: AuditReport) -> list[str]:
    """The kinds of trouble in a report, each a key of `WHAT_TO_DO`."""
    there = {found.problem for found in report.file_findings}
    if report.missing_ranges:
        there.add("missing")
    kinds: set[str] = set(there)
    if report.beyond_kafka:
        kinds.add("not in Kafka yet")
    if report.deep is not None and report.deep.findings:
        kinds.add("inside a file")
    if not kinds:
        kinds.add("difference")
    return [kind for kind in WHAT_TO_DO if kind in kinds]
