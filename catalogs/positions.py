"""The positions of a piece of a catalogue in degrees, and what cannot be right about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalogs.description import Description
from finkray.errors import CatalogError

FASTEST_ARCSEC_YR: Final = 15.0
"""Barnard's star, the fastest that is known, moves 10.4 arcsec a year."""

FEW_SOURCES: Final = 20
"""Fewer sources than that may lie anywhere: they are no sign of a wrong unit."""


class Positions(NamedTuple):
    """Positions of the sources that have one.

    Attributes
    ----------
    present
        which rows of the piece these are: a boolean for each
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


class Reader:
    """Reads positions as a description says.

    Raises
    ------
    CatalogError
        The file says another unit than the description, or a column is no number.
    """

    def __init__(self, description: Description, declared: Mapping[str, str]) -> None:
        self._place = description.position
        self._motion = description.proper_motion
        self._ra = _factor(self._place.ra, self._place.ra_unit, declared, "deg")
        self._dec = _factor(self._place.dec, self._place.dec_unit, declared, "deg")
        if self._motion.given:
            unit = self._motion.unit
            self._pm_ra = _factor(self._motion.ra, unit, declared, "mas/yr")
            self._pm_dec = _factor(self._motion.dec, unit, declared, "mas/yr")

    def read(self, chunk: pa.Table) -> Positions:
        """The positions of one piece."""
        ra = _numbers(chunk, self._place.ra) * self._ra
        dec = _numbers(chunk, self._place.dec) * self._dec
        present = np.isfinite(ra) & np.isfinite(dec)
        ra, dec = ra[present], dec[present]
        self._check_range(ra, dec)
        # A tiny negative number modulo 360 is 360 itself.
        ra = ra % 360.0
        ra[ra >= 360.0] = 0.0
        if not self._motion.given:
            return Positions(present, ra, dec, None, None)
        pm_ra = np.nan_to_num(_numbers(chunk, self._motion.ra)[present] * self._pm_ra)
        pm_dec = np.nan_to_num(_numbers(chunk, self._motion.dec)[present] * self._pm_dec)
        if not self._motion.includes_cos_dec:
            pm_ra = pm_ra * np.cos(np.radians(dec))
        return Positions(present, ra, dec, pm_ra, pm_dec)

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


@dataclass
class Extent:
    """How far a catalogue reaches: what tells of a unit that cannot be right."""

    sources: int = 0
    ra_max_deg: float = 0.0
    dec_min_deg: float = field(default=90.0)
    dec_max_deg: float = field(default=-90.0)
    ra_min_deg: float = field(default=360.0)
    fastest_mas_yr: float = 0.0

    def add(self, positions: Positions) -> None:
        """Take a piece in."""
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
        """Sentences about units that the catalogue as a whole speaks against."""
        place, found = description.position, []
        spread = self.dec_max_deg - self.dec_min_deg
        if self.sources >= FEW_SOURCES and place.ra_unit == "deg":
            reach = self.ra_max_deg - self.ra_min_deg
            if place.dec_unit == "deg" and _like_radians(self.ra_max_deg, reach, spread):
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


def _like_radians(ra_max: float, reach: float, spread: float) -> bool:
    return ra_max <= 2 * np.pi and reach > 5.0 and 1.0 < spread <= np.pi


def _factor(column: str, unit: str, declared: Mapping[str, str], target: str) -> float:
    """What a column must be multiplied with."""
    from astropy import units

    wanted = units.Unit(unit)
    if text := declared.get(column, ""):
        try:
            said = units.Unit(text)
            same = said.is_equivalent(wanted) and abs(said.to(wanted) - 1) < 1e-12
        except ValueError:
            same = True  # a unit that nobody knows says nothing against ours
        if not same:
            raise CatalogError(f"{column}: the file says {text}, the description {unit}")
    factor: float = wanted.to(units.Unit(target))
    return factor


def _numbers(chunk: pa.Table, column: str) -> np.ndarray:
    """A column as float64, NaN for null."""
    try:
        values = pc.cast(chunk.column(column), pa.float64())
    except pa.ArrowException as error:
        raise CatalogError(f"{column}: is no number: {error}") from error
    numbers: np.ndarray = values.to_numpy().astype(np.float64)
    return numbers
