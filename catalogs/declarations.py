"""Compare what a file declares of its columns with what the description says of them.

A contradiction refuses the build and names both. A unit, frame or epoch that is not understood does
not agree: a catalogue in other units answers, and answers wrong.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from catalogs.description import Description
from catalogs.formats.table_file import Column, Frame, TableFile
from catalogs.units import is_same, read_unit, says_nothing
from finkray.errors import CatalogError

_EPOCH_TOLERANCE_YEARS: Final = 0.01
"""Epochs that differ by less agree: the fastest star moves 0.1 arcsec meanwhile. So B1991.25 and
J1991.25 agree."""

_SAME_SKY: Final = frozenset(
    {"ICRS", "ICRF", "ICRF2", "ICRF3", "GCRS", "FK5", "J2000", "EQUATORIAL"}
)
"""Systems that agree with ICRS within 0.1 arcsec, those with an equinox if it is J2000."""

_NO_SYSTEM: Final = frozenset({"", "UNKNOWN", "UNSPECIFIED", "NONE"})

_OTHER_SKY_NAMES: Final = (
    (re.compile(r"_?(glon|glat|[lb]|lii|bii|gal_?(lon|lat|l|b)|galactic_?(lon|lat).*)", re.I),
     "galactic"),
    (re.compile(r"_?(elon|elat|ecl_?(lon|lat|l|b)|ecliptic_?(lon|lat).*|lambda|beta)", re.I),
     "ecliptic"),
    (re.compile(r"_?(sgl|sgb|sg_?(lon|lat)|supergalactic.*)", re.I), "supergalactic"),
    (re.compile(r".*(?<!\d)B(18|19)\d\d(\.\d+)?", re.I), "another equinox than J2000"),
    (re.compile(r"_?(ra|de|dec|raj|dej)_?(1950|1900|1875|1855)(\.0)?", re.I),
     "another equinox than J2000"),
)  # fmt: skip

_UNIT_IN_NAME: Final = re.compile(
    r"_?(?:alpha|delta|raj2000|dej2000|raj|dej|ra|decl|dec|de)(?:_?icrs)?"
    r"[\s_.]*[\[(]?(?P<unit>[a-z]+)[\])]?",
    re.I,
)
"""`RArad`, `dec_deg`, `ra [rad]`; `RAh` has the hours alone, or hours with a fraction."""

_OTHER_SKY_UCDS: Final = (
    (re.compile(r"pos\.galactic|pos_gal", re.I), "galactic"),
    (re.compile(r"pos\.ecliptic|pos_ec_", re.I), "ecliptic"),
    (re.compile(r"pos\.supergalactic|pos_sg", re.I), "supergalactic"),
    (re.compile(r"pos\.(az|earth|bodyrc|cartesian|det|lambert|healpix)", re.I), "not equatorial"),
    (re.compile(r"^stat\.error", re.I), "an error, not a value"),
)

_WAY_OUT: Final = (
    'Correct the description; if the file is wrong, checks.declarations = "ignore" takes the '
    "description's word"
)


def check_columns(file: TableFile, description: Description) -> None:
    """Refuse a file that lacks a column, or has one twice.

    Raises
    ------
    CatalogError
        With the columns that it has.
    """
    names = [column.name for column in file.columns()]
    if missing := [name for name in description.wanted if name not in names]:
        hint = f" ({file.hint})" if file.hint else ""
        raise CatalogError(
            f"{file.path}: has no column {', '.join(missing)}; it has "
            f"{', '.join(sorted(names))[:2000]}{hint}"
        )
    exact, folded = Counter(names), Counter(name.casefold() for name in names)
    motion = description.proper_motion
    own = {description.position.ra, description.position.dec, motion.ra, motion.dec}
    own.add(description.catalog.id)
    for name in description.wanted:
        if exact[name] > 1 or (name in own and folded[name.casefold()] > 1):
            alike = [other for other in names if other.casefold() == name.casefold()]
            raise CatalogError(
                f"{file.path}: has {len(alike)} columns of the name {name}: {', '.join(alike)}. "
                "Rename or remove all but one in the file"
            )


def check_declarations(file: TableFile, description: Description) -> None:
    """Refuse a file whose declarations contradict the description.

    Raises
    ------
    CatalogError
        With what the file says and what the description says, for each contradiction.
    """
    if description.checks.declarations == "ignore":
        return
    columns = {column.name: column for column in reversed(file.columns())}
    place, motion = description.position, description.proper_motion
    found: list[str] = []
    for name, unit, axis in ((place.ra, place.ra_unit, "ra"), (place.dec, place.dec_unit, "dec")):
        found += _unit_contradictions(columns[name], unit, "deg", f"position.{axis}_unit")
        found += _sky_contradictions(columns[name], axis, place.epoch_year)
    if motion.given:
        for name, axis in ((motion.ra, "ra"), (motion.dec, "dec")):
            found += _unit_contradictions(columns[name], motion.unit, "mas/yr", "unit")
            found += _ucd_contradictions(columns[name], axis)
    if found:
        raise CatalogError(f"{file.path}: {'; '.join(dict.fromkeys(found))}. {_WAY_OUT}")


def _unit_contradictions(column: Column, unit: str, like: str, key: str) -> list[str]:
    if says_nothing(column.unit):
        return _name_contradictions(column, unit, key) if like == "deg" else []
    declared, described = read_unit(column.unit, like), read_unit(unit, like)
    if declared is None:
        kind = "angle" if like == "deg" else "motion"
        text = f"{column.name}: the file says {column.unit}, the description {unit} ({key})"
        return [f"{text}; {column.unit} is no {kind} that is known"]
    if described is None or not is_same(declared, described):
        return [f"{column.name}: the file says {column.unit}, the description {unit} ({key})"]
    return []


def _name_contradictions(column: Column, unit: str, key: str) -> list[str]:
    """Compare the unit at the end of the name of a position's column, if the name has a unit."""
    found = _UNIT_IN_NAME.fullmatch(column.name)
    declared = read_unit(found["unit"], "deg") if found else None
    if found is None or declared is None or is_same(declared, read_unit(unit, "deg")):
        return []
    return [
        f"{column.name}: by its name it is in {found['unit']}, the description says {unit} ({key})"
    ]


def _sky_contradictions(column: Column, axis: str, epoch_year: float) -> list[str]:
    found = _ucd_contradictions(column, axis)
    for pattern, sky in _OTHER_SKY_NAMES:
        if pattern.fullmatch(column.name):
            found.append(f"{column.name}: by its name it is {sky}; the description means ICRS")
    for frame in column.frames:
        found += _frame_contradictions(column, frame, epoch_year)
    return found


def _ucd_contradictions(column: Column, axis: str) -> list[str]:
    found = [
        f"{column.name}: its UCD {column.ucd} says that it is {sky}; the description means ICRS"
        for pattern, sky in _OTHER_SKY_UCDS
        if pattern.search(column.ucd)
    ]
    other = {"ra": r"pos[._]eq[._]dec", "dec": r"pos[._]eq[._]ra"}[axis]
    if re.search(other, column.ucd, re.I):
        found.append(
            f"{column.name}: its UCD is {column.ucd}, the description has it as position.{axis}"
        )
    return found


def _frame_contradictions(column: Column, frame: Frame, epoch_year: float) -> list[str]:
    found = []
    system = frame.system.strip().upper().removeprefix("EQ_").replace("-", "_")
    if system not in _NO_SYSTEM | _SAME_SKY:
        found.append(
            f"{column.name}: the file says {frame.system} ({frame.declared_by}), the description "
            "means ICRS: convert the positions"
        )
    elif frame.equinox.strip() and _equinox_year(frame.equinox) != 2000.0:
        found.append(
            f"{column.name}: the file says equinox {frame.equinox} ({frame.declared_by}), the "
            "description means J2000: convert the positions"
        )
    if frame.epoch.strip():
        year = read_epoch(frame.epoch)
        if year is None or abs(year - epoch_year) > _EPOCH_TOLERANCE_YEARS:
            found.append(
                f"{column.name}: the file says epoch {frame.epoch} ({frame.declared_by}), the "
                f"description {epoch_year:g} (position.epoch_year)"
            )
    return found


def _equinox_year(text: str) -> float | None:
    """Return the year of a Julian equinox; None for one of another kind."""
    found = re.fullmatch(r"\s*J?\s*(\d{4}(?:\.\d*)?)\s*", text, re.I)
    return float(found[1]) if found else None


_EPOCH: Final = re.compile(r"(?P<kind>J|B|MJD|BJD|HJD|JD)?[\s:=]*(?P<number>\d+(?:\.\d*)?)", re.I)


def read_epoch(text: str) -> float | None:
    """Return the Julian year that an epoch means, as a year, a JD, an MJD or a date.

    Returns
    -------
    float or None
        None if it cannot be understood
    """
    from astropy.time import Time

    text = text.strip()
    try:
        found = _EPOCH.fullmatch(text)
        if not found:
            return float(Time(text, scale="tdb").jyear)
        kind, number = (found["kind"] or "").upper(), float(found["number"])
        if not kind:
            kind = "J" if number < 3000 else "MJD" if number < 200_000 else "JD"
        formats = {"J": "jyear", "B": "byear", "MJD": "mjd"}
        return float(Time(number, format=formats.get(kind, "jd"), scale="tdb").jyear)
    except ValueError:
        return None


def check_parts(files: Sequence[TableFile], description: Description) -> None:
    """Check each file of a catalogue: files may declare different things."""
    for file in files:
        check_columns(file, description)
        check_declarations(file, description)
