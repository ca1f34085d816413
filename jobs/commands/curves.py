"""`finkray lightcurve`, `cone` and `periodogram`: read the archive of the settings, and render."""

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa
from rich.console import Group, RenderableType

from finkray.curves.choice import BANDS
from finkray.curves.periodogram import FEWEST_POINTS, Peak, Periodogram, periodogram, usable
from finkray.errors import TooFewPoints
from finkray.reader import Archive
from finkray.settings.model import Settings
from finkray.text import visible_lines
from jobs.cluster.archive import archive_of
from ui.formats import to_csv
from ui.kit.elements import Cell, Column, Table
from ui.kit.terminal import table_text


def archive_to_read(settings: Settings) -> Archive:
    """Return the archive of the settings.

    Raises
    ------
    SettingsError
        There is no archive.
    """
    return Archive(archive_of(settings))


def angle_deg(text: str, *, in_hours: bool) -> float:
    """Return an angle in degrees.

    Parameters
    ----------
    text
        A number of degrees, or sexagesimal as `13:05:02.1`, `13h05m02.1s` or `-21d07m12s`.
    in_hours
        Sexagesimal text without a unit is in hours, as a right ascension is.

    Raises
    ------
    ValueError
        The text is no angle.
    """
    try:
        return _finite(text)
    except ValueError:
        return _sexagesimal(text, "hourangle" if in_hours else "deg", "deg")


def radius_arcsec(text: str) -> float:
    """Return a radius in arcsec: a number of them, or with a unit as `1arcmin` or `0.1deg`.

    Raises
    ------
    ValueError
        The text is no angle.
    """
    try:
        return _finite(text)
    except ValueError:
        return _sexagesimal(text, None, "arcsec")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is no angle")
    return number


def _sexagesimal(text: str, unit: str | None, into: str) -> float:
    from astropy import units
    from astropy.coordinates import Angle

    try:
        return float(Angle(text, unit=unit).to_value(into))
    except (ValueError, TypeError, units.UnitsError) as error:
        raise ValueError(
            f"{text!r} is no angle: expected a form such as 150.1, 10:00:24.5 or 1d30m"
        ) from error


def write_csv(table: pa.Table) -> None:
    """Print a table as CSV, with empty fields for nulls; see `ui.formats.to_csv`.

    A terminal gets no control characters of an id; a file and another program get all of it.
    """
    text = to_csv(table).decode()
    sys.stdout.write(visible_lines(text) if sys.stdout.isatty() else text)


def curve_text(points: pa.Table) -> RenderableType:
    """Return the main columns of a light curve as a table, and a line that counts its points."""
    kinds = points["kind"].to_pylist()
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
    columns = (
        Column("MJD (TAI)"),
        Column("band"),
        Column("kind"),
        *(Column(name, number=True) for name in ("flux nJy", "±", "limit", "app. mag", "±")),
        Column("note", prose=True),
    )
    rows = (
        (
            _number(point["mjd_tai"], 5),
            point["band"] or "",
            point["kind"],
            _number(point["flux_njy"], 1),
            _number(point["flux_err_njy"], 1),
            _number(point["limit_mag"], 2),
            _number(point["apparent_mag"], 3),
            _number(point["apparent_mag_err"], 3),
            _note(point),
        )
        for point in points.to_pylist()
    )
    said = f"{points.num_rows} points{f': {counts}' if counts else ''}"
    return table_text(Table("", columns, tuple(tuple(map(Cell, row)) for row in rows), said, said))


def cone_text(objects: pa.Table) -> RenderableType:
    """Return the objects of a cone as a table."""
    columns = (
        Column("object"),
        Column("survey"),
        *(Column(name, number=True) for name in ("arcsec", "RA deg", "Dec deg", "alerts")),
        *(Column(name, number=True) for name in ("first MJD", "last MJD")),
    )
    rows = (
        (
            each["object_id"] or "",
            each["survey"],
            _number(each["separation_arcsec"], 2),
            _number(each["ra_deg"], 5),
            _number(each["dec_deg"], 5),
            str(each["alerts"]),
            _number(each["first_mjd_tai"], 2),
            _number(each["last_mjd_tai"], 2),
        )
        for each in objects.to_pylist()
    )
    nothing = "no object has an alert in this circle: try a larger radius"
    return table_text(Table("", columns, tuple(tuple(map(Cell, row)) for row in rows), nothing))


def periodograms(
    points: pa.Table, bands: Sequence[str], shortest_days: float, terms: int
) -> list[Periodogram]:
    """Return the periodogram of each of the bands, or of all bands with enough points.

    Raises
    ------
    TooFewPoints
        A band that is asked for has too few points, or no band has enough.
    ValueError
        The periods cannot be searched.
    """
    in_band = usable(points)["band"].to_pylist()
    counts = {band: in_band.count(band) for band in BANDS if band in in_band}
    chosen = bands or [band for band, count in counts.items() if count >= FEWEST_POINTS]
    if not chosen:
        found = ", ".join(f"{count} in {band}" for band, count in counts.items()) or "none"
        raise TooFewPoints(
            f"no band has {FEWEST_POINTS} usable detections, which a period needs: {found}"
        )
    return [periodogram(points, band, shortest_days=shortest_days, terms=terms) for band in chosen]


def without_powers(found: Sequence[Periodogram]) -> list[dict[str, Any]]:
    """Return the fields of periodograms but the power at each frequency."""
    return [{n: v for n, v in asdict(each).items() if n != "powers"} for each in found]


def periodograms_text(found: Sequence[Periodogram]) -> RenderableType:
    """Return the peaks of each band as a table."""
    columns = (
        Column(""),
        *(Column(name, number=True) for name in ("period days", "power", "false alarm")),
        Column("daily aliases", prose=True),
        Column("note", prose=True),
    )
    parts = []
    for each in found:
        title = (
            f"band {each.band}: {each.points} detections in {each.span_days:.1f} days, fitted in "
            f"{each.quantity}"
        )
        rows = []
        for rank, peak in enumerate(each.peaks, 1):
            alarm = peak.false_alarm_probability
            aliases = ", ".join(f"{period:.4f}" for period in peak.daily_aliases_days)
            shown = (
                str(rank),
                f"{peak.period_days:.6f}",
                f"{peak.power:.3f}",
                "" if alarm is None else f"{alarm:.1e}",
                aliases,
                _peak_note(peak),
            )
            rows.append(tuple(map(Cell, shown)))
        parts.append(table_text(Table(title, columns, tuple(rows), "no peak")))
    return Group(*parts)


def _peak_note(peak: Peak) -> str:
    notes = [f"daily alias of {peak.alias_of}"] if peak.alias_of else []
    return ", ".join([*notes, "of the nightly sampling"] if peak.is_daily else notes)


def _note(point: dict[str, Any]) -> str:
    notes = [name for name in ("double", "time_absurd") if point[name]]
    if point["apparent_status"] not in {"ok", "no_flux"}:
        notes.append(point["apparent_status"])
    return ", ".join(notes)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
