"""The page of one object as HTML, from what the archive has of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from finkray.curves.periodogram import Periodogram
from finkray.json_values import json_value
from finkray.text import clipped, count_text, duration_text
from ui.kit.markup import code_html, escaped, facts_html, problem_html, table_html
from ui.lookups.records import (
    HIGH_PERCENT,
    LOW_PERCENT,
    LSST_ARCSEC_PER_PIXEL,
    ZTF_ARCSEC_PER_PIXEL,
    ObjectRecord,
    ResultsRecord,
)
from ui.views.alert_way import alerts_table, way_table
from ui.views.class_history import class_history_table
from ui.views.curve_svg import QUANTITIES, UNIX_EPOCH_MJD, Quantity, curve_svg, utc_text
from ui.views.newest_results import newest_results_table
from ui.views.plot_svg import periodogram_svg
from ui.views.query import galactic_latitude_deg, sexagesimal

PATH: Final = "object"

_DEEPEST: Final = 8
_MOST_ENTRIES: Final = 200

_LINKS: Final = (
    ("SIMBAD", "https://simbad.cds.unistra.fr/simbad/sim-coo?Coord={ra}d{dec}d&Radius=5&Radius.unit=arcsec"),
    ("NED", "https://ned.ipac.caltech.edu/conesearch?search_type=Near%20Position%20Search&ra={ra}d&dec={dec}d&radius=0.1"),
    ("TNS", "https://www.wis-tns.org/search?ra={ra}&decl={dec}&radius=5&coords_unit=arcsec"),
    ("Legacy Survey", "https://www.legacysurvey.org/viewer?ra={ra}&dec={dec}&zoom=16"),
    ("Pan-STARRS", "https://ps1images.stsci.edu/cgi-bin/ps1cutouts?pos={ra}%20{dec}&filter=color"),
)  # fmt: skip
"""Filled with numbers alone."""

_BROKERS: Final = (
    ("Fink", "https://fink-portal.org/{id}"),
    ("ALeRCE", "https://alerce.online/object/{id}"),
    ("Lasair", "https://lasair-ztf.lsst.ac.uk/objects/{id}/"),
)
"""Addresses of other brokers' pages of a ZTF object, to be filled with a quoted id."""


@dataclass(frozen=True, slots=True)
class ObjectChoice:
    """What the address of the page chooses.

    Attributes
    ----------
    object_id
        Which object.
    quantity
        What the light curve shows.
    period_days
        Period of the folded curve; None is the best peak of the periodogram.
    row
        The alert whose packet is shown, as `partition:offset:topic`; "" is the newest.
    """

    object_id: str
    quantity: Quantity = "difference"
    period_days: float | None = None
    row: str = ""

    def href(self, **changes: Any) -> str:
        """Return the address of this choice with changes, relative to the first page."""
        values = {
            "id": self.object_id,
            "quantity": self.quantity,
            "period": self.period_days,
            "alert": self.row,
        } | changes
        return f"{PATH}?{urlencode({name: value for name, value in values.items() if value})}"

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "ObjectChoice":
        """Return the choice in the parameters of an address; what is malformed is not chosen."""
        quantity = query.get("quantity", "")
        named = [each for each in QUANTITIES if each == quantity]
        chosen: Quantity = named[0] if named else "difference"
        try:
            period = float(query.get("period", ""))
        except ValueError:
            period = 0.0
        in_range = 1e-4 < period < 1e5
        object_id = query.get("id", "").strip()[:100]
        return cls(object_id, chosen, period if in_range else None, query.get("alert", ""))


def chosen_alert(record: ObjectRecord, row: str) -> dict[str, Any] | None:
    """Return the alert that an address names, else the newest; None without any."""
    alerts: list[dict[str, Any]] = record.alerts.to_pylist()
    named = (alert for alert in alerts if row_name(alert) == row)
    return next(named, alerts[0] if alerts else None)


def row_name(alert: Mapping[str, Any]) -> str:
    """Return the name of an alert in an address."""
    return f"{alert['kafka_partition']}:{alert['kafka_offset']}:{alert['kafka_topic']}"


def object_html(record: ObjectRecord, choice: ObjectChoice, now: datetime, base_url: str) -> str:
    """Return the page of an object but the packet of an alert.

    Parameters
    ----------
    record
        What the archive has of it.
    choice
        What the address chooses.
    now
        The time.
    base_url
        Address of the page, for the line of curl.
    """
    alert = chosen_alert(record, choice.row)
    points = record.points.to_pylist()
    return (
        f"<div class='fr-title'><h1>{escaped(record.object_id)}</h1></div>"
        + _facts(record, now)
        + "<div class='fr-columns'><div>"
        + _curve(points, choice)
        + _folded(points, record.periods, choice)
        + table_html(class_history_table(record.results.classes))
        + "</div><div>"
        + (_cutouts(alert, record.survey) + table_html(way_table(alert)) if alert else "")
        + _results(record.results)
        + "</div></div>"
        + "".join(map(problem_html, record.problems))
        + table_html(
            alerts_table(record.alerts, lambda each: choice.href(alert=row_name(each))),
            wide=True,
            tall=True,
        )
        + _downloads(record, base_url)
        + _links(record)
    )


def packet_html(packet: Mapping[str, Any], row: str, avro_href: str) -> str:
    """Return a packet as a tree, folded, and the link to it as a file."""
    return (
        "<section class='fr-table fr-wide'><h2>packet</h2><p class='fr-links'>"
        f"<a href='{escaped(avro_href)}' download>Avro, with images and schema</a></p>"
        f"<details><summary>{escaped(clipped(row, 200))}</summary>{_tree(json_value(packet), 0)}"
        "</details></section>"
    )


def cutout_href(alert: Mapping[str, Any], name: str) -> str:
    """Return the address of an image of an alert, relative to the first page."""
    return f"api/v1/cutout.png?{urlencode({**_place(alert), 'name': name})}"


def packet_href(alert: Mapping[str, Any]) -> str:
    """Return the address of an alert as an Avro container, relative to the first page."""
    return f"api/v1/alert.avro?{urlencode(_place(alert))}"


def small_curve_href(object_id: str) -> str:
    """Return the address of an object's light curve as a small picture."""
    return f"api/v1/objects/{quote(object_id, safe='')}/lightcurve.svg"


def _place(alert: Mapping[str, Any]) -> dict[str, Any]:
    place = {part: alert[f"kafka_{part}"] for part in ("topic", "partition", "offset")}
    if alert["kafka_timestamp"] is not None:
        place["at"] = alert["kafka_timestamp"].isoformat()
    return place


def _facts(record: ObjectRecord, now: datetime) -> str:
    facts = [("survey", record.survey), ("alerts", count_text(record.alerts.num_rows))]
    facts.append(("points", count_text(record.points.num_rows)))
    where = _position(record)
    if where is not None:
        ra, dec = where
        facts += [
            ("RA, Dec (ICRS)", f"{ra:.6f} {dec:+.6f}"),
            ("", sexagesimal(ra, dec)),
            ("Galactic latitude", f"{galactic_latitude_deg(ra, dec):+.2f}°"),
        ]
    seen = [
        mjd
        for kind, mjd in zip(
            record.points["kind"].to_pylist(), record.points["mjd_tai"].to_pylist(), strict=True
        )
        if kind == "detection" and mjd is not None
    ]
    if seen:
        age_s = (now.timestamp() / 86_400 + UNIX_EPOCH_MJD - max(seen)) * 86_400
        facts.append(("detections", count_text(len(seen))))
        facts.append(("first detected", utc_text(min(seen))))
        facts.append(("last detected", f"{utc_text(max(seen))} ({duration_text(age_s)} ago)"))
    return facts_html(facts)


def _position(record: ObjectRecord) -> tuple[float, float] | None:
    for alert in record.alerts.select(["ra_deg", "dec_deg"]).to_pylist():
        if alert["ra_deg"] is not None and alert["dec_deg"] is not None:
            return alert["ra_deg"], alert["dec_deg"]
    return None


def _curve(points: list[dict[str, Any]], choice: ObjectChoice) -> str:
    links = "".join(
        f"<a href='{escaped(choice.href(quantity=each))}'"
        f"{' aria-current=true' if each == choice.quantity else ''}>{each}</a>"
        for each in QUANTITIES
    )
    drawn = curve_svg(points, choice.quantity) or "<p>no such point: choose another quantity</p>"
    return (
        f"<section class='fr-table'><h2>light curve</h2><p class='fr-switch'>{links}</p>{drawn}"
        "</section>"
    )


def _folded(points: list[dict[str, Any]], found: Periodogram | None, choice: ObjectChoice) -> str:
    head = "<section class='fr-table'><h2>folded light curve and periodogram</h2>"
    if found is None and choice.period_days is None:
        return f"{head}<p>too few detections for a period</p></section>"
    period = choice.period_days or (found.peaks[0].period_days if found and found.peaks else None)
    peaks = ""
    if found is not None:
        links = "".join(
            f"<a href='{escaped(choice.href(period=f'{peak.period_days:.8g}'))}'>"
            f"{peak.period_days:.6g} d (power {peak.power:.2f}"
            f"{', daily' if peak.is_daily or peak.alias_of else ''})</a>"
            for peak in found.peaks[:3]
        )
        peaks = f"<p class='fr-switch'>best in {escaped(found.band)}: {links}</p>"
    form = (
        f"<form class='fr-period' action='{PATH}' method='get'>"
        f"<input type='hidden' name='id' value='{escaped(choice.object_id)}'>"
        f"<input type='hidden' name='quantity' value='{choice.quantity}'>"
        "<label>period, days <input name='period' inputmode='decimal' "
        f"value='{'' if period is None else f'{period:.8g}'}'></label>"
        "<button type='submit'>fold</button></form>"
    )
    drawn = "" if period is None else curve_svg(points, choice.quantity, period)
    powers = "" if found is None else periodogram_svg(found.powers, period)
    return f"{head}{peaks}{form}{drawn}{powers}</section>"


def _cutouts(alert: dict[str, Any], survey: str) -> str:
    scale = ZTF_ARCSEC_PER_PIXEL if survey == "ztf" else LSST_ARCSEC_PER_PIXEL
    images = "".join(
        f"<figure><img loading='lazy' alt='{name} image of the alert' "
        f"src='{escaped(cutout_href(alert, name))}'>"
        f"<figcaption>{name}</figcaption></figure>"
        for name in ("science", "template", "difference")
    )
    return (
        f"<section class='fr-table'><h2>images of alert {escaped(str(alert['alert_id']))}</h2>"
        f"<div class='fr-images'>{images}</div><p>as in the packet, the first row at the bottom; "
        f"{scale:g} arcsec a pixel; asinh, {LOW_PERCENT:g} to {HIGH_PERCENT:g} % of the pixels</p>"
        "</section>"
    )


def _results(results: ResultsRecord) -> str:
    return table_html(newest_results_table(results)) + "".join(map(problem_html, results.problems))


def _downloads(record: ObjectRecord, base_url: str) -> str:
    path = f"api/v1/objects/{quote(record.object_id, safe='')}/lightcurve"
    links = "".join(
        f"<a href='{escaped(path)}?format={name}' download>{label}</a>"
        for name, label in (
            ("parquet", "Parquet"),
            ("csv", "CSV"),
            ("votable", "VOTable"),
            ("json", "JSON"),
        )
    )
    python = (
        "import finkray\n\n"
        'archive = finkray.open_archive("…")  # archive.uri of the settings\n'
        f"points = archive.lightcurve({record.object_id!r})"
    )
    curl = f"curl '{base_url}{path}?format=csv'"
    return (
        f"<section class='fr-table fr-wide'><h2>light curve as a file, and for programs</h2>"
        f"<p class='fr-links'>{links}</p>{code_html(python)}{code_html(curl)}</section>"
    )


def _links(record: ObjectRecord) -> str:
    found: list[tuple[str, str]] = []
    where = _position(record)
    if where is not None:
        ra, dec = where
        at = {"ra": f"{ra:.6f}", "dec": f"{dec:+.6f}"}
        found += [(name, link.format(ra=at["ra"], dec=quote(at["dec"]))) for name, link in _LINKS]
    if record.survey == "ztf":
        quoted = quote(record.object_id, safe="")
        found += [(name, link.format(id=quoted)) for name, link in _BROKERS]
    links = "".join(
        f"<a href='{escaped(link)}' rel='noopener noreferrer' target='_blank'>{name}</a>"
        for name, link in found
    )
    return (
        "<section class='fr-table fr-wide'><h2>elsewhere</h2>"
        f"<p class='fr-links'>{links}</p></section>"
    )


def _tree(value: Any, depth: int) -> str:
    if isinstance(value, Mapping):
        return _entries(value.items(), depth)
    if isinstance(value, list):
        return _entries(((str(number), each) for number, each in enumerate(value)), depth)
    return f"<span>{escaped(clipped(str(value), 300))}</span>"


def _entries(entries: Iterable[tuple[str, Any]], depth: int) -> str:
    items = []
    for number, (name, value) in enumerate(entries):
        if number == _MOST_ENTRIES:
            items.append("<li>and more: see the API</li>")
            break
        shown = escaped(clipped(str(name), 100))
        if isinstance(value, Mapping | list) and value and depth < _DEEPEST:
            size = len(value)
            items.append(
                f"<li><details><summary>{shown} ({size})</summary>{_tree(value, depth + 1)}"
                "</details></li>"
            )
        else:
            leaf = str(value) if isinstance(value, Mapping | list) else value
            items.append(f"<li><b>{shown}</b> {_tree(leaf, depth)}</li>")
    return f"<ul class='fr-tree'>{''.join(items)}</ul>"
