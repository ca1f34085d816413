"""`finkray audit` as a person reads it."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from finkray.audit.report import AuditReport
from finkray.status import BalanceSheet
from jobs.render_status import balance_table

SHOWN = 10
"""How many ranges or files of a kind are listed; `--json` has them all."""


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
    return Text(
        "NOT balanced; `finkray audit --redrive` brings in what is missing", style="bold red"
    )
