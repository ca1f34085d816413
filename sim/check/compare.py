"""Compare what was played with what an archive has, message by message."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

ARCHIVED: Final = pa.schema(
    [("partition", pa.int32()), ("offset", pa.int64()), ("candid", pa.int64())]
)
"""An archived alert. `candid` is the `diaSourceId` of LSST."""

DEAD: Final = pa.schema(
    [
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("reason", pa.string()),
        ("size_bytes", pa.int64()),
        ("sha256", pa.string()),
    ]
)
"""A dead letter. `sha256` is null where the bytes were cut short, or the message has none."""

MISSING: Final = "missing"
DOUBLED: Final = "doubled"
WRONGLY_DEAD: Final = "wrongly dead-lettered"
WRONGLY_ARCHIVED: Final = "wrongly archived"
WRONG_REASON: Final = "dead-lettered for another reason"
WRONG_ALERT: Final = "another alert"
WRONG_BYTES: Final = "other bytes"
ABORTED_SEEN: Final = "aborted and yet there"
UNKNOWN: Final = "never played"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One message that is not as it should be."""

    what: str
    partition: int
    offset: int
    detail: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The outcome of all messages.

    `findings` is empty if everything is as it should be; `ended` is False for a play that still
    runs, or was killed.
    """

    messages: int
    archived: int
    dead_lettered: int
    aborted: int
    trouble: dict[str, int]
    findings: tuple[Finding, ...]
    ended: bool = True

    @property
    def good(self) -> bool:
        """Whether everything is as it should be."""
        return self.ended and not self.findings

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as values that JSON has."""
        names = ("what", "partition", "offset", "detail")
        found = [{name: getattr(finding, name) for name in names} for finding in self.findings]
        counts = {name: getattr(self, name) for name in ("messages", "archived", "dead_lettered")}
        return {
            "good": self.good,
            **counts,
            "aborted": self.aborted,
            "ended": self.ended,
            "trouble": self.trouble,
            "findings": found,
        }


def compare(messages: pa.Table, archived: pa.Table, dead: pa.Table) -> Comparison:
    """Compare the messages of a play with the alerts and dead letters of an archive.

    Parameters
    ----------
    messages
        The messages that were played: `sim.player.manifest.MESSAGES`.
    archived, dead
        The alerts and dead letters of that topic: `ARCHIVED` and `DEAD`.
    """
    alerts, letters = _by_position(archived), _by_position(dead)
    trouble: dict[str, int] = {}
    findings: list[Finding] = []
    counts = {"archived": 0, "dead": 0, "aborted": 0}
    for batch in messages.to_batches():
        for sent in batch.to_pylist():
            position = (sent["partition"], sent["offset"])
            rows, dead_rows = alerts.pop(position, []), letters.pop(position, [])
            counts["archived"] += len(rows)
            counts["dead"] += len(dead_rows)
            counts["aborted"] += sent["aborted"]
            name = sent["trouble"] or "none"
            trouble[name] = trouble.get(name, 0) + 1
            for what, detail in _wrong(sent, rows, dead_rows):
                findings.append(Finding(what, *position, detail))
    for detail, rest in (("an alert", alerts), ("a dead letter", letters)):
        findings += [Finding(UNKNOWN, *position, detail) for position in rest]
    return Comparison(
        messages=len(messages),
        archived=counts["archived"],
        dead_lettered=counts["dead"],
        aborted=counts["aborted"],
        trouble=dict(sorted(trouble.items())),
        findings=tuple(sorted(findings)),
    )


def _wrong(
    sent: dict[str, Any], alerts: list[dict[str, Any]], letters: list[dict[str, Any]]
) -> Iterable[tuple[str, str]]:
    message = f"{sent['trouble'] or 'a good alert'}, candid {sent['candid']}"
    reasons = ", ".join(sorted(letter["reason"] for letter in letters))
    if sent["aborted"]:
        if alerts or letters:
            yield ABORTED_SEEN, message
        return
    if not alerts and not letters:
        yield MISSING, message
    elif len(alerts) + len(letters) > 1:
        yield DOUBLED, f"{message}: {len(alerts)} x an alert, {len(letters)} x a dead letter"
    elif alerts and sent["reasons"]:
        yield WRONGLY_ARCHIVED, message
    elif letters and not sent["reasons"]:
        yield WRONGLY_DEAD, f"{message}: {reasons}"
    if alerts and sent["candid"] not in (None, alerts[0]["candid"]):
        yield WRONG_ALERT, f"{message}: there is {alerts[0]['candid']}"
    if letters and sent["reasons"]:
        yield from _wrong_letter(sent, letters[0], message)


def _wrong_letter(
    sent: dict[str, Any], letter: dict[str, Any], message: str
) -> Iterable[tuple[str, str]]:
    if letter["reason"] not in sent["reasons"]:
        expected = " or ".join(sent["reasons"])
        yield WRONG_REASON, f"{message}: {letter['reason']}, expected {expected}"
    other = letter["sha256"] not in (None, sent["sha256"])
    if other or letter["size_bytes"] != sent["size_bytes"]:
        yield WRONG_BYTES, message


def _by_position(table: pa.Table) -> dict[tuple[int, int], list[dict[str, Any]]]:
    rows: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for batch in table.to_batches():
        for row in batch.to_pylist():
            rows.setdefault((row["partition"], row["offset"]), []).append(row)
    return rows
