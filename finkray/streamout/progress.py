"""How far a filter has come, and what it counted: a record in the transaction of its messages.

    {"format": 1, "filter": "bright", "version": "3f…", "begin": "1:7:0", "cursor": "1:9:2",
     "mark": "a1…", "alerts": 420, "passed": 3, "not_passed": 416, "not_judged": {"null: …": 1},
     "sent": 3, "refused": {}, "sent_bytes": 1776, "incomplete": 2, "awaiting": 1, "completed": 1,
     "lapsed": 0, "amendments": 1, "amendments_refused": 0, "judged_late": 0, "missing": [],
     "sent_by_hour": {"2026-11-24T01:00:00+00:00": 3},
     "named": {"null: …": ["ztf[0]@17"]}, "fault": "", "at": "2026-11-24T01:02:03+00:00"}

The topic of the progress is compacted, its key is the name of the filter. So what was sent and how
far the filter is cannot come apart: a transaction has both or neither.

It balances as the archive does: alerts = passed + not passed + not judged, passed = sent + refused.
Of the alerts that were sent, `incomplete` lacked the answer of a service: `awaiting` still lack it,
`completed` got all of them in amendments, for `lapsed` none came in time, so that incomplete =
awaiting + completed + lapsed. `judged_late` were not judged at first, because a service that the
filter needs had not looked; they are among passed, not passed or not judged now.

Alerts of another survey than the filter's do not count. `fault` says why a filter rests, and is
empty if it does not. `sent_by_hour` counts for the quota, by the hour in which Kafka got an alert.
`missing` are files that were not there when their turn came; their alerts are judged when a repair
has brought them back.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from finkray.errors import FinkrayError
from finkray.streamout.verdict import NAMED_ALERTS

_FORMAT: Final = 1

_HOURS_KEPT: Final = 48
"""Hours for which it is kept how much was sent: alerts of an older hour have their quota anew."""

_MOST_REASONS: Final = 50
"""Reasons that are counted apart: a filter may raise with another text for each alert."""

OTHER_REASONS: Final = "other reasons"


@dataclass(slots=True)
class Progress:
    """How far a filter has come; the module explains the fields."""

    filter: str
    version: str
    begin: str
    cursor: str
    mark: str | None = None
    alerts: int = 0
    passed: int = 0
    not_passed: int = 0
    not_judged: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    sent_bytes: int = 0
    incomplete: int = 0
    awaiting: int = 0
    completed: int = 0
    lapsed: int = 0
    amendments: int = 0
    amendments_refused: int = 0
    judged_late: int = 0
    sent_by_hour: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    named: dict[str, list[str]] = field(default_factory=dict)
    fault: str = ""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def difference(self) -> int:
        """How many alerts are not accounted for; 0 if all are."""
        judged = self.passed + self.not_passed + self.not_judged.total()
        amended = self.awaiting + self.completed + self.lapsed
        return (
            abs(self.alerts - judged)
            + abs(self.passed - self.sent - self.refused.total())
            + abs(self.incomplete - amended)
        )

    def copy(self) -> "Progress":
        """Return an independent copy."""
        return Progress.from_bytes(self.to_bytes())

    def count_not_judged(self, reason: str, alerts: int, named: list[str]) -> None:
        """Count alerts that were not judged, and keep the names of some."""
        reason = _bounded(reason, self.not_judged)
        self.not_judged[reason] += alerts
        self._name(reason, named)

    def take_not_judged(self, reason: str, alerts: int) -> None:
        """Take back alerts that were counted as not judged, because they are judged now."""
        if self.not_judged[reason] < alerts:
            reason = OTHER_REASONS
        self.not_judged[reason] -= alerts
        if not self.not_judged[reason]:
            del self.not_judged[reason]
            self.named.pop(reason, None)

    def count_refused(self, reason: str, named: list[str], messages: int = 1) -> None:
        """Count messages that were not sent, and keep the names of some."""
        reason = _bounded(reason, self.refused)
        self.refused[reason] += messages
        self._name(reason, named)

    def count_sent(self, hour: str, messages: int) -> None:
        """Count alerts that were sent, by their hour: for the quota."""
        if messages:
            self.sent_by_hour[hour] = self.sent_by_hour.get(hour, 0) + messages
            for old in sorted(self.sent_by_hour)[:-_HOURS_KEPT]:
                del self.sent_by_hour[old]

    def to_bytes(self) -> bytes:
        """Return the value of the record."""
        raw = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({"format": _FORMAT, **raw, "at": self.at.isoformat()}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Progress":
        """Parse what `to_bytes` returned.

        Raises
        ------
        FinkrayError
            if it is no progress of a filter
        """
        try:
            raw: dict[str, Any] = json.loads(data)
            if raw.pop("format") != _FORMAT:
                raise FinkrayError("the progress of a filter was written by a later finkray")
            raw["at"] = datetime.fromisoformat(raw["at"])
            for name in ("not_judged", "refused"):
                raw[name] = Counter(raw[name])
            return cls(**raw)
        except (ValueError, KeyError, TypeError) as error:
            raise FinkrayError(f"a record of the progress is damaged: {error}") from error

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for commands."""
        raw: dict[str, Any] = json.loads(self.to_bytes())
        return raw | {"difference": self.difference}

    def _name(self, reason: str, names: list[str]) -> None:
        known = self.named.setdefault(reason, [])
        known.extend(names[: NAMED_ALERTS - len(known)])


def _bounded(reason: str, known: Mapping[str, int]) -> str:
    return reason if reason in known or len(known) < _MOST_REASONS else OTHER_REASONS
