"""What a feature is: its name, its unit, and how a person reads its value. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

Scale = Literal["plain", "log1p", "log10", "asinh", "asinh5"]
"""How a feature is made of the quantity that a person reads."""

_QUANTITY: Final[Mapping[str, Callable[[np.ndarray], np.ndarray]]] = {
    "plain": np.asarray,
    "log1p": np.expm1,
    "log10": lambda values: 10.0**values,
    "asinh": np.sinh,
    "asinh5": lambda values: np.sinh(values) / 5.0,
}


@dataclass(frozen=True, slots=True)
class Feature:
    """A number that describes an alert.

    Attributes
    ----------
    name
        name of its column
    unit
        of the quantity that a person reads; empty for pure numbers
    about
        what the quantity is
    scale
        how the feature is made of that quantity
    """

    name: str
    unit: str
    about: str
    scale: Scale = "plain"

    def quantities(self, values: np.ndarray) -> np.ndarray:
        """Return the quantities that a person reads, in `unit`, for values of the feature."""
        with np.errstate(over="ignore"):
            return _QUANTITY[self.scale](values)

    def words(self, quantity: float, share: float, *, high: bool) -> str:
        """Return a reason in words, as "first detection above the last limit 2.8 mag: 0.2 % …".

        Parameters
        ----------
        quantity
            in `unit`
        share
            of ordinary alerts that lie at least as far out on that side, 0 to 1
        high
            whether the value is above the median of ordinary alerts
        """
        unit = f" {self.unit}" if self.unit else ""
        side = "as high" if high else "as low"
        return f"{self.about} {quantity:.3g}{unit}: {percent(share)} of alerts are {side}"


def percent(share: float) -> str:
    """Return a share as text, as "0.2 %"; one below 0.01 % is "less than 0.01 %"."""
    return f"{100 * share:.2g} %" if share >= 1e-4 else "less than 0.01 %"
