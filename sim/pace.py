"""How fast alerts are played: a decision about when each is due, without a clock of its own."""

import re
from dataclasses import dataclass

from finkray.errors import SettingsError

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Pace:
    """When each alert is due. At most one of the two is set; with neither, all are due at once.

    Attributes
    ----------
    per_s
        Alerts in a second.
    speed
        How much faster than they were observed; 1 is as the exposures came.
    """

    per_s: float | None = None
    speed: float | None = None

    @classmethod
    def parse(cls, text: str) -> "Pace":
        """Read `max`, `original`, a factor of it such as `10x`, or a rate such as `500/s`.

        Raises
        ------
        SettingsError
            It is none of these, or is not above zero.
        """
        if text == "max":
            return cls()
        if text == "original":
            return cls(speed=1.0)
        number, unit = found.groups() if (found := _NUMBER.fullmatch(text)) else ("0", "")
        if float(number) <= 0:
            raise SettingsError(
                f'pace "{text}": it can be "max", "original", a factor "10x" or a rate "500/s"'
            )
        return cls(speed=float(number)) if unit == "x" else cls(per_s=float(number))

    @property
    def follows_time(self) -> bool:
        """Whether it needs to know when the alerts were observed."""
        return self.speed is not None

    def due_s(self, index: int, since_first_days: float) -> float:
        """Seconds after the start at which an alert is due.

        Parameters
        ----------
        index
            How many were before it.
        since_first_days
            How long after the first one it was observed.
        """
        if self.per_s is not None:
            return index / self.per_s
        if self.speed is not None:
            return since_first_days * _DAY_S / self.speed
        return 0.0


_NUMBER = re.compile(r"(\d+(?:\.\d+)?)(x|/s)")
