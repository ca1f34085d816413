"""The verdicts of a filter on alerts: passed, not passed, or not judged, with the reason.

An alert that a filter could not judge has not passed, and is counted apart with its reason: false
would look like an answer.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

PASSED: Final = 1
NOT_PASSED: Final = 0
NOT_JUDGED: Final = 2

Fault = Literal["raised", "contract", "time", "memory", "died"]
"""Why a filter gave no answer: it raised, answered in another form than booleans, took too long or
too much memory, or its process ended."""

NAMED_ALERTS: Final = 20
"""Alerts that one reason names: enough to try the filter on, and few enough for a record."""


@dataclass(slots=True)
class Verdicts:
    """The verdicts of a filter on the alerts of a batch, row by row.

    Attributes
    ----------
    codes
        `PASSED`, `NOT_PASSED` or `NOT_JUDGED` for each row
    reasons
        for each reason, the rows that were not judged
    """

    codes: np.ndarray
    reasons: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def not_judged(cls, rows: int, reason: str) -> "Verdicts":
        """Return verdicts for alerts none of which was judged."""
        return cls(np.full(rows, NOT_JUDGED, np.uint8), {reason: list(range(rows))})

    @property
    def passed(self) -> np.ndarray:
        """Rows that passed."""
        return np.flatnonzero(self.codes == PASSED)

    def count(self, code: int) -> int:
        """Return how many rows have a code."""
        return int(np.count_nonzero(self.codes == code))

    def counts_by_reason(self) -> Counter[str]:
        """Return how many rows were not judged, by reason."""
        return Counter({reason: len(rows) for reason, rows in self.reasons.items()})
