"""The last audit of each archive, kept in the state folder: the page shows its age and result."""

import json
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from finkray.audit.report import AuditReport
from finkray.host.records import write_private
from finkray.status.last_audit import LastAudit

_FILE: Final = "audits.json"


def keep_audit(state: Path, report: AuditReport) -> None:
    """Keep the result of an audit as the last one of its archive."""
    ranges = len(report.missing_ranges) + len(report.beyond_kafka)
    inside = 0 if report.deep is None else len(report.deep.findings)
    last = LastAudit(
        at=report.at,
        balanced=report.balanced,
        archived=report.archived,
        dead_lettered=report.dead_lettered,
        difference=report.difference,
        findings=ranges + len(report.file_findings) + inside,
        deep="" if report.deep is None else report.deep.range,
    )
    kept = {**_read(state), report.archive_uri: last.model_dump(mode="json")}
    write_private(state / _FILE, json.dumps(kept, indent=1))


def last_audit(state: Path, archive_uri: str) -> LastAudit | None:
    """Return the result of the last audit of an archive; None if none is known here."""
    try:
        return LastAudit.model_validate(_read(state)[archive_uri])
    except (KeyError, ValidationError):
        return None


def _read(state: Path) -> dict[str, object]:
    try:
        found = json.loads((state / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
