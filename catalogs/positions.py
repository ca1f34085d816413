"""The positions of a piece of a catalogue in degrees, and the checks that they pass."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from catalogs.columns import as_numbers
from catalogs.declarations import read_epoch
from catalogs.description import Description
from catalogs.units import factor, read_unit
from finkray.errors import CatalogError

FASTEST_ARCSEC_YR: Final = 15.0
"""Barnard's star, the fastest that is known, moves 10.4 arcsec a year."""

FEW_SOURCES: Final = 20
"""Fewer sources than that may lie anywhere: they are no sign of a wrong unit."""

MANY_AT_ONE_PLACE: Final = 3
"""This many sources exactly at (0, 0) or (-1, -1) have a placeholder in place of a position."""

_NINES: Final = np.unique(
    [
        float(digits[:whole] + "." + digits[whole:])
        for digits in ("9" * count for count in range(2, 9))
        for whole in range(2, len(digits) + 1)
    ]
)
"""99, 99.9, 999, 999.99, 9999, …: numbers that stand for a missing value, of either sign."""

_HUGE: Final = 1e20
"""1e30, -1.6375e30 (HEALPix) and the like stand for a missing value too."""

_INSIDE: Final = (0.0, -1.0, -9.0, -9.9, -9.99, -9.999)
"""Placeholders that are coordinates as well: only both together, and many of them, are a sign."""

_EPOCH_TOLERANCE_YEARS: Final = 0.01


class Positions(NamedTuple):
    """Positions of the sources of a piece that have one.

    Attributes
    ----------
    present
        whether each row of the piece has a position
    ra_deg, dec_deg
        ICRS, right ascension in [0, 360)
    pm_ra_mas_yr, pm_dec_mas_yr
        times cos(dec); 0 where the catalogue gives none; None if it has no proper motions
    """

    present: np.ndarray
    ra_deg: np.ndarray
    dec_deg: np.ndarray
    pm_ra_mas_yr: np.ndarray | None
    pm_dec_mas_yr: np.ndarray | None


@dataclass
class Placeholders:
    """Rows whose position stands for a missing one, by what stands there.

    Attributes
    ----------
    outside
        coordinates beyond the sphere, such as -999: their number of rows by value
    inside
        values that both coordinates have, such as 0: their number of rows
    motions
        values that both proper motions have, such as 9999: their number of rows
    """

    outside: dict[float, int] = field(default_factory=dict)
    inside: dict[float, int] = field(default_factory=dict)
    motions: dict[float, int] = field(default_factory=dict)

    def found(self, description: Description) -> list[str]:
        """Return a sentence for each kind of placeholder that cannot be a position."""
        place, motion = description.position, description.proper_motion
        texts = [
            f"{rows:,} rows have {value:g} in {place.ra} or {place.dec}"
            for value, rows in sorted(self.outside.items())
        ]
        texts += [
            f"{rows:,} sources lie exactly at ({value:g}, {value:g})"
            for value, rows in sorted(self.inside.items())
            if rows >= MANY_AT_ONE_PLACE
        ]
        texts += [
            f"{rows:,} rows have {value:g} in {motion.ra} and {motion.dec}"
            for value, rows in sorted(self.motions.items())
        ]
        return texts


class Reader:
    """Reads positions as a description says.

    Raises
    ------
    CatalogError
        A column is no number, or holds what no coordinate can be.
    """

    def __init__(self, description: Description) -> None:
        self._place = description.position
        self._motion = description.proper_motion
        self._keep = description.checks.placeholder_positions == "keep"
        self._drop = description.checks.placeholder_positions == "drop"
        self.placeholders = Placeholders()
        self._ra = factor(read_unit(self._place.ra_unit, "deg"), "deg")
        self._dec = factor(read_unit(self._place.dec_unit, "deg"), "deg")
        self._pm = factor(read_unit(self._motion.unit, "mas/yr"), "mas/yr")

    def read(self, chunk: pa.Table) -> Positions:
        """Return the positions of one piece, and count its placeholders."""
        ra_raw = as_numbers(self._place.ra, chunk.column(self._place.ra))
        dec_raw = as_numbers(self._place.dec, chunk.column(self._place.dec))
        ra, dec = ra_raw * self._ra, dec_raw * self._dec
        present = np.isfinite(ra) & np.isfinite(dec)
        if not self._keep:
            present &= ~self._find_placeholders(ra_raw, dec_raw, ra, dec)
        ra, dec = ra[present], dec[present]
        self._check_range(ra, dec)
        # A tiny negative number modulo 360 is 360 itself.
        ra = ra % 360.0
        ra[ra >= 360.0] = 0.0
        if not self._motion.given:
            return Positions(present, ra, dec, None, None)
        pm_ra, pm_dec = self._motions(chunk, present)
        if not self._motion.includes_cos_dec:
            pm_ra = pm_ra * np.cos(np.radians(dec))
        return Positions(present, ra, dec, pm_ra, pm_dec)

    def _find_placeholders(
        self, ra_raw: np.ndarray, dec_raw: np.ndarray, ra: np.ndarray, dec: np.ndarray
    ) -> np.ndarray:
        """Count placeholders; return which rows have none for a position.

        Placeholders inside the sphere differ from sources by their number only, which is known at
        the end: they are left out only where the description drops them.
        """
        with np.errstate(invalid="ignore"):
            ra_out = ((ra < -180.0) | (ra > 360.0)) & _stands_for_missing(ra_raw)
            dec_out = (np.abs(dec) > 90.0) & _stands_for_missing(dec_raw)
        for which, raw in ((ra_out, ra_raw), (dec_out & ~ra_out, dec_raw)):
            _count(self.placeholders.outside, raw[which])
        twins = (ra_raw == dec_raw) & np.isin(ra_raw, _INSIDE)
        _count(self.placeholders.inside, ra_raw[twins])
        return ra_out | dec_out | (twins & self._drop)

    def _motions(self, chunk: pa.Table, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return proper motions in mas a year, 0 where there is none."""
        raw = [
            as_numbers(name, chunk.column(name))[present]
            for name in (self._motion.ra, self._motion.dec)
        ]
        if not self._keep:
            twins = (raw[0] == raw[1]) & _stands_for_missing(raw[0])
            _count(self.placeholders.motions, raw[0][twins])
            raw = [np.where(twins, np.nan, values) for values in raw]
        with np.errstate(over="ignore"):
            pm_ra, pm_dec = (np.nan_to_num(values * self._pm, posinf=np.inf, neginf=-np.inf)
                             for values in raw)  # fmt: skip
        return pm_ra, pm_dec

    def _check_range(self, ra: np.ndarray, dec: np.ndarray) -> None:
        place = self._place
        if len(dec) and np.abs(dec).max() > 90.0 + 1e-9:
            worst = dec[np.abs(dec).argmax()]
            raise CatalogError(
                f"{place.dec}: in {place.dec_unit}, as position.dec_unit says, it reaches "
                f"{worst:.6g} degrees; a declination ends at 90"
            )
        if len(ra) and (ra.min() < -180.0 - 1e-9 or ra.max() > 360.0 + 1e-9):
            worst = ra.max() if ra.max() > 360 else ra.min()
            raise CatalogError(
                f"{place.ra}: in {place.ra_unit}, as position.ra_unit says, it reaches "
                f"{worst:.6g} degrees; a right ascension ends at 360"
            )


def _stands_for_missing(values: np.ndarray) -> np.ndarray:
    size = np.abs(values)
    with np.errstate(invalid="ignore"):
        # A float32 has 99.99 as 99.98999786.
        near = _NINES[np.searchsorted(_NINES, size * (1 - 1e-6)).clip(max=len(_NINES) - 1)]
        return (np.abs(size - near) <= 1e-6 * size) | (size >= _HUGE)


def _count(counts: dict[float, int], values: np.ndarray) -> None:
    for value, rows in zip(*np.unique(values, return_counts=True), strict=True):
        counts[float(value)] = counts.get(float(value), 0) + int(rows)


@dataclass
class Extent:
    """How far a catalogue reaches: a unit that cannot be right is seen in it.

    Attributes
    ----------
    epochs
        first and last epoch of a position as the file has them; None if it has none
    """

    sources: int = 0
    ra_max_deg: float = 0.0
    dec_min_deg: float = field(default=90.0)
    dec_max_deg: float = field(default=-90.0)
    ra_min_deg: float = field(default=360.0)
    fastest_mas_yr: float = 0.0
    epochs: tuple[float, float] | None = None

    def add_epochs(self, column: str, values: pa.ChunkedArray) -> None:
        """Take in the epochs of a piece."""
        epochs = as_numbers(column, values)
        epochs = epochs[np.isfinite(epochs)]
        if len(epochs):
            low, high = self.epochs or (np.inf, -np.inf)
            self.epochs = (min(low, float(epochs.min())), max(high, float(epochs.max())))

    def epoch_contradiction(self, column: str, description: Description) -> str:
        """Return a sentence if the epochs of the rows are not that of the description."""
        year = description.position.epoch_year
        years = [read_epoch(repr(epoch)) for epoch in self.epochs or ()]
        if all(
            epoch is not None and abs(epoch - year) <= _EPOCH_TOLERANCE_YEARS for epoch in years
        ):
            return ""
        low, high = self.epochs or (np.nan, np.nan)
        reach = f"{low:.8g}" if low == high else f"{low:.8g} to {high:.8g}"
        return (
            f"{column}: the file says epoch {reach}, the description {year:g} (position.epoch_year)"
        )

    def add(self, positions: Positions) -> None:
        """Take in a piece."""
        if not len(positions.ra_deg):
            return
        self.sources += len(positions.ra_deg)
        self.ra_min_deg = min(self.ra_min_deg, float(positions.ra_deg.min()))
        self.ra_max_deg = max(self.ra_max_deg, float(positions.ra_deg.max()))
        self.dec_min_deg = min(self.dec_min_deg, float(positions.dec_deg.min()))
        self.dec_max_deg = max(self.dec_max_deg, float(positions.dec_deg.max()))
        if positions.pm_ra_mas_yr is not None and positions.pm_dec_mas_yr is not None:
            speed = np.hypot(positions.pm_ra_mas_yr, positions.pm_dec_mas_yr)
            self.fastest_mas_yr = max(self.fastest_mas_yr, float(speed.max()))

    def doubts(self, description: Description) -> list[str]:
        """Return sentences about units that the catalogue as a whole contradicts."""
        place, found = description.position, []
        spread = self.dec_max_deg - self.dec_min_deg
        if self.sources >= FEW_SOURCES and _in_degrees(place.ra_unit):
            reach = self.ra_max_deg - self.ra_min_deg
            if _in_degrees(place.dec_unit) and _like_radians(self.ra_max_deg, reach, spread):
                found.append(
                    f"{place.ra} ends at {self.ra_max_deg:.3f} and {place.dec} lies within "
                    f"{self.dec_min_deg:.3f} to {self.dec_max_deg:.3f}: are they radians?"
                )
            elif self.ra_max_deg <= 24.0 and reach > 20.0 and spread > 60.0:
                found.append(
                    f"{place.ra} ends at {self.ra_max_deg:.3f}, but the declinations span "
                    f"{spread:.0f} degrees: is it in hours (hourangle)?"
                )
        if self.fastest_mas_yr > FASTEST_ARCSEC_YR * 1000:
            motion = description.proper_motion
            found.append(
                f"{motion.ra}, {motion.dec}: in {motion.unit}, as proper_motion.unit says, a "
                f"source moves {self.fastest_mas_yr / 1000:.4g} arcsec a year; no star is as fast"
            )
        return found


def _in_degrees(unit: str) -> bool:
    return factor(read_unit(unit, "deg"), "deg") == 1.0


def _like_radians(ra_max: float, reach: float, spread: float) -> bool:
    return ra_max <= 2 * np.pi and reach > 5.0 and 1.0 < spread <= np.pi
