"""Compare what was played with what an archive has: to the message, and without mercy."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

ARCHIVED: Final = pa.schema(
    [("partition", pa.int32()), ("offset", pa.int64()), ("candid", pa.int64())]
)
"""A row of the alerts. `candid` is the `diaSourceId` of LSST."""

DEAD: Final = pa.schema(
    [
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("reason", pa.string()),
        ("size_bytes", pa.int64()),
        ("sha256", pa.string()),
    ]
)
"""A dead letter. `sha256` is null where the bytes were cut short, or there are none."""

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
    """What came of all the messages.

    `findings` is empty if everything is as it should be; `ended` is False for a play that goes
    on, or was killed.
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
        """For machines."""
        names = ("what", "partition", "offset", "detail")
        found = [{name: getattr(one, name) for name in names} for one in self.findings]
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
    """Compare.

    Parameters
    ----------
    messages
        What was played: `sim.player.manifest.MESSAGES`.
    archived, dead
        What the archive has of that topic: `ARCHIVED` and `DEAD`.
    """
    alerts, letters = _by_place(archived), _by_place(dead)
    trouble: dict[str, int] = {}
    findings: list[Finding] = []
    counts = {"archived": 0, "dead": 0, "aborted": 0}
    for batch in messages.to_batches():
        for sent in batch.to_pylist():
            place = (sent["partition"], sent["offset"])
            rows, dead_rows = alerts.pop(place, []), letters.pop(place, [])
            counts["archived"] += len(rows)
            counts["dead"] += len(dead_rows)
            counts["aborted"] += sent["aborted"]
            name = sent["trouble"] or "none"
            trouble[name] = trouble.get(name, 0) + 1
            for what, detail in _wrong(sent, rows, dead_rows):
                findings.append(Finding(what, *place, detail))
    for kind, rest in (("an alert", alerts), ("a dead letter", letters)):
        findings += [Finding(UNKNOWN, *place, kind) for place in rest]
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
    told = f"{sent['trouble'] or 'a good alert'}, candid {sent['candid']}"
    reasons = ", ".join(sorted(letter["reason"] for letter in letters))
    if sent["aborted"]:
        if alerts or letters:
            yield ABORTED_SEEN, told
        return
    if not alerts and not letters:
        yield MISSING, told
    elif len(alerts) + len(letters) > 1:
        yield DOUBLED, f"{told}: {len(alerts)} x an alert, {len(letters)} x a dead letter"
    elif alerts and sent["reasons"]:
        yield WRONGLY_ARCHIVED, told
    elif letters and not sent["reasons"]:
        yield WRONGLY_DEAD, f"{told}: {reasons}"
    if alerts and sent["candid"] not in (None, alerts[0]["candid"]):
        yield WRONG_ALERT, f"{told}: there is {alerts[0]['candid']}"
    if letters and sent["reasons"]:
        yield from _wrong_letter(sent, letters[0], told)


def _wrong_letter(
    sent: dict[str, Any], letter: dict[str, Any], told: str
) -> Iterable[tuple[str, str]]:
    if letter["reason"] not in sent["reasons"]:
        expected = " or ".join(sent["reasons"])
        yield WRONG_REASON, f"{told}: {letter['reason']}, expected {expected}"
    other = letter["sha256"] not in (None, sent["sha256"])
    if other or letter["size_bytes"] != sent["size_bytes"]:
        yield WRONG_BYTES, told


def _by_place(table: pa.Table) -> dict[tuple[int, int], list[dict[str, Any]]]:
    places: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for batch in table.to_batches():
        for row in batch.to_pylist():
            places.setdefault((row["partition"], row["offset"]), []).append(row)
    return places
