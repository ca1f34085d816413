"""Decide when each alert is due. Pure: it has no clock."""

import re
from dataclasses import dataclass

from finkray.errors import SettingsError

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Pace:
    """When each alert is due. At most one of the first two is set; else all are due at once.

    Attributes
    ----------
    per_s
        Alerts in a second.
    speed
        How much faster than they were observed; 1 is the speed of the exposures.
    visit_s
        With a speed: seconds from one visit to the next, whenever they were observed. An alert
        without a visit number is due by the time of its observation.
    """

    per_s: float | None = None
    speed: float | None = None
    visit_s: float | None = None

    @classmethod
    def parse(cls, text: str, visit_s: float) -> "Pace":
        """Read `max`, `realtime`, `x10`, `original`, `10x` or `500/s`.

        With `realtime` all alerts of a visit are due at once, and a visit each `visit_s`; `x10`
        is ten times as fast. With `original` they are due as they were observed, with the pauses
        and days between, and `10x` is ten times as fast. `500/s` is a rate.

        Raises
        ------
        SettingsError
            The text is none of these, or its number is not above zero.
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
                f'pace "{text}" is not known: use "max", "realtime", a factor of it "x10", '
                '"original", a factor of it "10x", or a rate "500/s"'
            )
        if visits:
            return cls(speed=float(number), visit_s=visit_s)
        return cls(speed=float(number)) if unit == "x" else cls(per_s=float(number))

    @property
    def follows_time(self) -> bool:
        """Whether it needs the times of observation."""
        return self.speed is not None

    def due_s(self, index: int, since_first_days: float, visits: int | None = None) -> float:
        """Return the seconds after the start at which an alert is due.

        Parameters
        ----------
        index
            Number of alerts before it.
        since_first_days
            Days from the observation of the first alert to that of this one.
        visits
            Number of visits after the first alert's visit, if known.
        """
        if self.per_s is not None:
            return index / self.per_s
        if self.speed is not None and self.visit_s is not None and visits is not None:
            return visits * self.visit_s / self.speed
        if self.speed is not None:
            return since_first_days * _DAY_S / self.speed
        return 0.0


_NUMBER = re.compile(r"(x?)(\d+(?:\.\d+)?)(x|/s|)")
