"""Units of angles and proper motions, in any spelling that files and people use.

astropy knows the spellings of the standards. Files also say `RADIANS`, `degrees`, `h` for an hour
angle, `"/yr`. What neither this table nor astropy knows is no unit: `read_unit` returns None, and
the caller refuses it. It must never pass for the unit that was expected.
"""

import re
from typing import Any, Final

_ANGLES: Final = {
    "deg": ("deg", "degs", "degree", "degrees", "decimal degrees", "decimal degree", "°", "º"),
    "rad": ("rad", "rads", "radian", "radians"),
    "hourangle": ("h", "hr", "hrs", "hour", "hours", "hourangle", "hourangles", "hour angle"),
    "arcmin": ("arcmin", "arcmins", "amin", "arcminute", "arcminutes", "'", "\u2032"),
    "arcsec": ("arcsec", "arcsecs", "asec", "arcsecond", "arcseconds", '"', "''", "\u2033"),
    "mas": ("mas", "marcsec", "milliarcsec", "milliarcsecond", "milliarcseconds"),
    "uas": ("uas", "µas", "μas", "muas", "uarcsec", "microarcsec", "microarcsecond",
            "microarcseconds"),
}  # fmt: skip

_TIMES: Final = {
    "yr": ("yr", "yrs", "y", "a", "jyr", "year", "years", "julian year", "annum"),
    "100 yr": ("century", "centuries", "cy", "jc", "cent"),
    "day": ("day", "days"),
}

_ANGLE_OF: Final = {word: unit for unit, words in _ANGLES.items() for word in words}
_TIME_OF: Final = {word: unit for unit, words in _TIMES.items() for word in words}

_SAYS_NOTHING: Final = frozenset({"", "-", "--", "---", "none", "null", "n/a", "nan"})

_PER: Final = re.compile(
    r"""(?P<angle>.+?)
        (?: \s* / \s* | \s+ per \s+ )
        (?P<time>[^/]+) """,
    re.VERBOSE | re.DOTALL,
)
_POWER: Final = re.compile(
    r"""(?P<angle>.+?) [\s.*·]+ (?P<time>[a-z ]+?) \s*
        (?: (?:\*\*|\^)? \s* \(? \s* [-\u2212] \s* 1 (?:\.0*)? \s* \)? | ⁻¹ )""",
    re.VERBOSE | re.DOTALL,
)
_SCALED: Final = re.compile(
    r"(?P<scale>10\s*(?:\*\*|\^)\s*\(?[+-]?\d+\)?|\d+(?:\.\d*)?(?:e[+-]?\d+)?)\s*[*\u00d7]?\s*(?P<rest>.+)",
    re.DOTALL,
)


def says_nothing(text: str) -> bool:
    """Whether a unit that a file declares is empty, or a mark that stands for no unit."""
    return _bare(text).casefold() in _SAYS_NOTHING


def read_unit(text: str, like: str) -> Any | None:
    """Return the astropy unit that a text means; None if it means no unit of this kind.

    Parameters
    ----------
    text
        as a file or a person writes it
    like
        `deg` for an angle, `mas/yr` for a proper motion: an hour (`h`) is then an hour angle
    """
    from astropy import units

    bare = _bare(text)
    scale, rest = _scale(bare.casefold())
    if known := _known(rest, motion=like != "deg"):
        return units.Unit(scale * units.Unit(known))
    for standard in (None, "cds", "fits", "vounit"):
        try:
            unit = units.Unit(bare, format=standard)
            # Some words, such as `unknown`, are None to astropy.
            if unit is not None and unit.is_equivalent(units.Unit(like)):
                return unit
        except (ValueError, TypeError, OverflowError):  # the last of `1a100`, a year to the 100th
            continue
    return None


def factor(unit: Any, target: str) -> float:
    """Return what a value in a unit is multiplied with to be in another, such as `deg`."""
    from astropy import units

    number: float = unit.to(units.Unit(target))
    return number


def is_same(unit: Any, other: Any) -> bool:
    """Whether two units of the same kind are the same size."""
    return bool(abs(unit.to(other) - 1) < 1e-9)


def _bare(text: str) -> str:
    """Return a unit without what people put around it: `[deg]`, `(deg)`, `deg.`."""
    bare = " ".join(text.split())
    while len(bare) > 2 and (bare[0], bare[-1]) in {("[", "]"), ("(", ")"), ("{", "}")}:
        bare = bare[1:-1].strip()
    return bare


def _scale(text: str) -> tuple[float, str]:
    scaled = _SCALED.fullmatch(text)
    if not scaled:
        return 1.0, text
    power = re.fullmatch(r"10\s*(?:\*\*|\^)\s*\(?([+-]?\d+)\)?", scaled["scale"])
    return 10.0 ** int(power[1]) if power else float(scaled["scale"]), scaled["rest"]


def _known(text: str, *, motion: bool) -> str:
    """Return a unit of the tables as astropy writes it; empty if the tables do not have it."""
    if not motion:
        return _ANGLE_OF.get(text.strip(), "") or _ANGLE_OF.get(text.strip().rstrip("."), "")
    split = _PER.fullmatch(text) or _POWER.fullmatch(text)
    if not split:
        return ""
    angle, time = _ANGLE_OF.get(split["angle"].strip()), _TIME_OF.get(split["time"].strip())
    if not angle or not time:
        return ""
    return f"{angle} / ({time})" if time != "100 yr" else f"0.01 {angle} / yr"
