"""The output of `finkray audit`: balance sheet, findings, verdict, what to do."""

from collections.abc import Iterator
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from finkray.audit.report import AuditReport
from finkray.status.archive import BalanceSheet
from finkray.text import count_text
from ui.kit.terminal import LEVEL_STYLE, line_text, table_text
from ui.views.archive_tables import balance_table

SHOWN: Final = 10
"""How many ranges or files of each problem are listed; `--json` has all of them."""

WHAT_TO_DO: Final = {
    "missing": "`finkray audit --redrive` reads again what Kafka still has; stop the archive first",
    "damaged": "move the file out of the archive's folder; then it is missing, and "
    "`finkray audit --redrive` writes it again",
    "stray": "move the file out of the archive's folder: no claim needs it",
    "named in part": "move the file out of the archive's folder, then `finkray audit --redrive` "
    "writes the alerts of the claims that need it again",
    "named twice": "the ledger contradicts itself, and no command repairs that: keep the output of "
    "`finkray audit --json`, and report it to the developers",
    "not in Kafka yet": "Kafka has lost messages, or is not the cluster that it claims to be: ask "
    "its operator; the archive has the messages",
    "inside a file": "move a file that cannot be read, or that is damaged, out of the archive's "
    "folder; then `finkray audit --redrive` writes it again. It writes a missing or damaged schema "
    "again at once. For all else keep the output of `finkray audit --deep … --json`, and report it "
    "to the developers",
    "difference": "no range and no file explains it: keep the output of `finkray audit --json`, "
    "and report it to the developers",
}
"""The advice for each problem; docs/operations.md says more."""


def audit_text(report: AuditReport) -> RenderableType:
    """Return what `finkray audit` prints."""
    sheet = table_text(balance_table(balance_of(report)))
    return Group(sheet, *_lines(report), _verdict(report))


def balance_of(report: AuditReport) -> BalanceSheet:
    """Return the sums of a report in the form that the snapshot has."""
    return BalanceSheet(
        received=report.received,
        archived=report.archived,
        dead_lettered=report.dead_lettered,
        expired=report.expired,
        not_delivered=report.not_delivered,
        unreadable=report.unreadable,
        waiting=report.waiting,
    )


def _lines(report: AuditReport) -> Iterator[Text]:
    missing = [f"missing: {missing_range.claim}" for missing_range in report.missing_ranges]
    beyond = [
        f"in the archive, but not in Kafka yet: {finding.claim}" for finding in report.beyond_kafka
    ]
    files = [f"{finding.problem}: {finding.path}" for finding in report.file_findings]
    for findings in (missing, beyond, files):
        yield from map(_bad, findings[:SHOWN])
        if len(findings) > SHOWN:
            yield Text(f"… and {len(findings) - SHOWN} more; --json lists all of them")
    if report.deferred:
        yield Text(
            f"{count_text(report.deferred)} of the waiting offsets wait for the backfill, which a "
            "running archive works off"
        )
    if report.unreadable:
        yield Text(
            f"{count_text(report.unreadable)} offsets could not be read from Kafka: `finkray audit "
            "--redrive` reads them again; stop the archive first"
        )
    if report.unpublished_files:
        yield Text(
            f"{count_text(report.unpublished_files)} committed files are not published yet; the "
            "archive publishes them"
        )
    if report.checked_against_disk_alone:
        yield Text(
            f"{count_text(report.checked_against_disk_alone)} offsets are no longer in Kafka: "
            "checked against disk alone"
        )
    if report.deep is not None:
        yield Text(
            f"opened {count_text(report.deep.files)} files of {count_text(report.deep.claims)} "
            "claims"
        )
        yield from (_bad(str(finding)) for finding in report.deep.findings[:SHOWN])


def _bad(line: str) -> Text:
    return line_text(line, "red")


def _verdict(report: AuditReport) -> Text:
    if report.balanced:
        return Text("balanced", "bold green")
    advice = (f"{problem}: {WHAT_TO_DO[problem]}" for problem in problems_of(report))
    return Text("\n".join(("NOT balanced", *advice)), LEVEL_STYLE["bad"])


def problems_of(report: AuditReport) -> list[str]:
    """Return the problems of a report: keys of `WHAT_TO_DO`, in its order."""
    problems: set[str] = {finding.problem for finding in report.file_findings}
    if report.missing_ranges:
        problems.add("missing")
    if report.beyond_kafka:
        problems.add("not in Kafka yet")
    if report.deep is not None and report.deep.findings:
        problems.add("inside a file")
    if not problems:
        problems.add("difference")
    return [problem for problem in WHAT_TO_DO if problem in problems]
