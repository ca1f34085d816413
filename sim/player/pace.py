"""How fast alerts are played: a decision about when each is due, without a clock of its own."""

import re
from dataclasses import dataclass

from finkray.errors import SettingsError

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Pace:
    """When each alert is due. At most one of the first two is set; with neither, all are at once.

    Attributes
    ----------
    per_s
        Alerts in a second.
    speed
        How much faster than they were observed; 1 is as the exposures came.
    visit_s
        With a speed: visits come at this distance, whenever they were observed. What tells no
        visit is due by the time of its observation all the same.
    """

    per_s: float | None = None
    speed: float | None = None
    visit_s: float | None = None

    @classmethod
    def parse(cls, text: str, visit_s: float) -> "Pace":
        """Read `max`, `realtime`, `x10`, `original`, `10x` or `500/s`.

        With `realtime` all alerts of a visit are due at once, and a visit each `visit_s`; `x10`
        is ten times as fast. With `original` they are due as they were observed, pauses and
        days between included, and `10x` is ten times as fast. `500/s` is a rate.

        Raises
        ------
        SettingsError
            It is none of these, or is not above zero.
        """
        if text == "max":
            return cls()
        if text in ("original", "realtime"):
            return cls(speed=1.0, visit_s=visit_s if text == "realtime" else None)
        visits, number, unit = (
            found.groups() if (found := _NUMBER.fullmatch(text)) else ("", "0", "")
        )
        if float(number) <= 0 or bool(visits) == bool(unit):
            raise SettingsError(
                f'pace "{text}": it can be "max", "realtime", a factor of it "x10", "original", a '
                'factor of it "10x", or a rate "500/s"'
            )
        if visits:
            return cls(speed=float(number), visit_s=visit_s)
        return cls(speed=float(number)) if unit == "x" else cls(per_s=float(number))

    @property
    def follows_time(self) -> bool:
        """Whether it needs to know when the alerts were observed."""
        return self.speed is not None

    def due_s(self, index: int, since_first_days: float, visits: int | None = None) -> float:
        """Seconds after the start at which an alert is due.

        Parameters
        ----------
        index
            How many were before it.
        since_first_days
            How long after the first one it was observed.
        visits
            How many visits after the first one's, if that is known.
        """
        if self.per_s is not None:
            return index / self.per_s
        if self.speed is not None and self.visit_s is not None and visits is not None:
            return visits * self.visit_s / self.speed
        if self.speed is not None:
            return since_first_days * _DAY_S / self.speed
        return 0.0


_NUMBER = re.compile(r"(x?)(\d+(?:\.\d+)?)(x|/s|)")
