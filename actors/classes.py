"""Assign each alert one class, from its packet and the catalogues. Pure, a batch at a time.

The first rule that holds gives the class:

| | rule | class |
|---|---|---|
| 1 | the packet names a known object of the Solar System | `Solar System` |
| 2 | a catalogue has a galaxy here that does not change by itself | `galaxy host candidate` |
|   | a catalogue has any other source with a type here | its type, as SIMBAD writes it |
| 3 | a catalogue that tells types was not checked, or there is none | `not checked` |
| 4 | the nearest source of Pan-STARRS is near and looks like a galaxy | `galaxy host candidate` |
| 5 | | `Unknown` |

Of several sources the nearest counts; a source whose type says little (a star, a radio source) only
where there is no other. Rule 3 comes before the rules for alerts without a source: a catalogue that
was not checked might have one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from actors.matching import MATCH, NOT_CHECKED, by_alert
from actors.object_types import GALAXIES, SAYS_LITTLE

SOLAR_SYSTEM_CLASS: Final = "Solar System"
HOST_CLASS: Final = "galaxy host candidate"
UNKNOWN_CLASS: Final = "Unknown"
NOT_CHECKED_CLASS: Final = "not checked"

GALAXY_BELOW: Final = 0.5
"""A source with a lower star score is more like a galaxy than like a star (Tachibana & Miller 2018,
PASP 130, 128001). Pan-STARRS's score is 0.5 where it is not known."""

HOST_ARCSEC: Final = 3.0
"""Largest separation of a host galaxy. This is a choice: most galaxies that ZTF sees are smaller,
and with the separation grows the share of galaxies that lie there by chance."""

CHECKED: Final = pa.list_(
    pa.struct(
        [
            ("catalog", pa.string()),
            ("version", pa.string()),
            ("status", pa.string()),
            ("reason", pa.string()),
        ]
    )
)
"""Type of `checked`: the catalogues with types, and the answer of each."""

CLASSES: Final = pa.schema(
    [
        ("class", pa.string()),
        ("rule", pa.string()),
        ("catalog", pa.string()),
        ("catalog_version", pa.string()),
        ("catalog_type", pa.string()),
        ("separation_arcsec", pa.float64()),
        ("checked", CHECKED),
    ]
)
"""The columns that `classes` returns. `rule` says why the alert has its class; where a
catalogue gave it, `catalog`, `catalog_version`, `catalog_type` (as the catalogue writes it) and
`separation_arcsec` name the source; `checked` has all catalogues with types."""


@dataclass(frozen=True, slots=True)
class TypeAnswer:
    """The answer of a catalogue with types for a batch of alerts.

    Attributes
    ----------
    catalog, version
        of the catalogue
    status, reason, separation_arcsec
        as `actors.matching.match` returns them, one for each alert
    texts
        type of the nearest source, as the catalogue writes it
    types
        SIMBAD's type for it; null where there is no source, or none that says anything
    """

    catalog: str
    version: str | None
    status: pa.Array
    reason: pa.Array
    separation_arcsec: pa.Array
    texts: pa.Array
    types: pa.Array

    @property
    def label(self) -> str:
        """Name and version of the catalogue."""
        return self.catalog if self.version is None else f"{self.catalog} {self.version}"


def classes(known: pa.Table, neighbours: pa.Table, answers: Sequence[TypeAnswer]) -> pa.Table:
    """Return the class of each alert, and the rule that gave it.

    Parameters
    ----------
    known
        as `finkray.adapter.solar_system` returns it
    neighbours
        as `finkray.adapter.neighbours` returns it
    answers
        the answers of the catalogues with types, for the same alerts

    Returns
    -------
    pa.Table
        a row for each alert, with the columns of `CLASSES`
    """
    alerts = known.num_rows
    best = _best(answers, alerts)
    unchecked = _unchecked(answers, alerts)
    score, near = (_numbers(neighbours[name]) for name in neighbours.column_names)
    with np.errstate(invalid="ignore"):
        host = (score < GALAXY_BELOW) & (near <= HOST_ARCSEC)
    in_packet = known["solar_system"].to_numpy().astype(bool)
    rule = np.select(
        [in_packet, best.has_source & best.galaxy, best.has_source, unchecked, host],
        range(5),
        default=5,
    )
    names = [SOLAR_SYSTEM_CLASS, HOST_CLASS, None, NOT_CHECKED_CLASS, HOST_CLASS, UNKNOWN_CLASS]
    by_rule = pa.array(names, pa.string()).take(pa.array(rule))
    from_catalog = pa.array((rule == 1) | (rule == 2))
    out = {
        "class": pc.coalesce(by_rule, best.types),
        "rule": _rules(rule, known, neighbours, answers, best),
        "catalog": pc.if_else(from_catalog, best.catalogs, None),
        "catalog_version": pc.if_else(from_catalog, best.versions, None),
        "catalog_type": pc.if_else(from_catalog, best.texts, None),
        "separation_arcsec": pc.if_else(from_catalog, best.separation_arcsec, None),
        "checked": _checked(answers, alerts),
    }
    return pa.table(out, schema=CLASSES)


@dataclass(frozen=True, slots=True)
class _Best:
    """For each alert the source that counts, null or False where there is none."""

    has_source: np.ndarray
    galaxy: np.ndarray
    types: pa.Array
    texts: pa.Array
    catalogs: pa.Array
    versions: pa.Array
    separation_arcsec: pa.Array


def _best(answers: Sequence[TypeAnswer], alerts: int) -> _Best:
    if not answers:
        nothing, none = np.zeros(alerts, bool), pa.nulls(alerts, pa.string())
        return _Best(nothing, nothing, none, none, none, none, pa.nulls(alerts, pa.float64()))
    little = pa.array(sorted(SAYS_LITTLE))
    order = np.empty((len(answers), alerts))
    for row, answer in zip(order, answers, strict=True):
        row[:] = _numbers(answer.separation_arcsec)
        # It comes after any source whose type says more.
        row[pc.is_in(answer.types, little).to_numpy(zero_copy_only=False)] += 1e9
        usable = pc.and_(pc.equal(answer.status, MATCH), pc.is_valid(answer.types))
        row[~pc.fill_null(usable, False).to_numpy(zero_copy_only=False)] = np.inf  # noqa: FBT003
    which = np.argmin(order, axis=0)
    has_source = np.isfinite(np.min(order, axis=0))
    rows = pa.array(which * alerts + np.arange(alerts), mask=~has_source)
    numbers = pa.array(which, mask=~has_source)
    types = pa.concat_arrays([answer.types for answer in answers]).take(rows)
    galaxies = pc.is_in(types, pa.array(sorted(GALAXIES)))
    return _Best(
        has_source=has_source,
        galaxy=galaxies.to_numpy(zero_copy_only=False),
        types=types,
        texts=pa.concat_arrays([answer.texts for answer in answers]).take(rows),
        catalogs=pa.array([answer.catalog for answer in answers], pa.string()).take(numbers),
        versions=pa.array([answer.version for answer in answers], pa.string()).take(numbers),
        separation_arcsec=pa.concat_arrays([answer.separation_arcsec for answer in answers]).take(
            rows
        ),
    )


def _unchecked(answers: Sequence[TypeAnswer], alerts: int) -> np.ndarray:
    if not answers:
        return np.ones(alerts, bool)
    each = [
        pc.equal(answer.status, NOT_CHECKED).to_numpy(zero_copy_only=False) for answer in answers
    ]
    unchecked: np.ndarray = np.any(each, axis=0)
    return unchecked


def _rules(
    rule: np.ndarray,
    known: pa.Table,
    neighbours: pa.Table,
    answers: Sequence[TypeAnswer],
    best: _Best,
) -> pa.Array:
    """Return the rule of each alert as text."""
    nowhere = f"no source with a type in {', '.join(answer.label for answer in answers)}"
    texts = np.full(len(rule), nowhere, object)
    _fill(texts, rule == 0, _in_packet, known["name"], known["separation_arcsec"])
    source = (best.texts, best.catalogs, best.versions, best.separation_arcsec)
    _fill(texts, rule == 1, _at_galaxy, *source)
    _fill(texts, rule == 2, _at_source, *source)
    _fill(texts, rule == 4, _near_galaxy, *neighbours.columns)
    if not answers:
        texts[rule == 3] = "no catalogue that tells types is built"
    else:
        reasons = [
            pc.if_else(pc.equal(answer.status, NOT_CHECKED), answer.reason, None)
            for answer in answers
        ]
        labels = [answer.label for answer in answers]
        _fill(texts, rule == 3, lambda *reasons: _not_checked(labels, reasons), *reasons)
    return pa.array(texts, pa.string())


def _fill(
    texts: np.ndarray, rows_of_rule: np.ndarray, describe: object, *columns: pa.Array
) -> None:
    rows = np.flatnonzero(rows_of_rule)
    if not len(rows):
        return
    taken = [column.take(pa.array(rows)).to_pylist() for column in columns]
    texts[rows] = [describe(*values) for values in zip(*taken, strict=True)]  # type: ignore[operator]


def _in_packet(name: str | None, separation_arcsec: float | None) -> str:
    text = f"the packet names {name}" if name else "the packet says that it is a known object"
    if separation_arcsec is None:
        return text
    return f"{text}, {separation_arcsec:.1f} arcsec from where it must be"


def _at_galaxy(text: str, catalog: str, version: str, separation_arcsec: float) -> str:
    return f"a galaxy, {_at_source(text, catalog, version, separation_arcsec)}"


def _at_source(text: str, catalog: str, version: str, separation_arcsec: float) -> str:
    return f"{text} in {catalog} {version}, {separation_arcsec:.2f} arcsec away"


def _near_galaxy(star_score: float, separation_arcsec: float) -> str:
    return (
        f"the nearest source of Pan-STARRS, {separation_arcsec:.1f} arcsec away, looks like a "
        f"galaxy (star score {star_score:.2f})"
    )


def _not_checked(labels: Sequence[str], reasons: Sequence[str | None]) -> str:
    texts = [f"{label}: {reason}" for label, reason in zip(labels, reasons, strict=True) if reason]
    return ", ".join(texts)


def _checked(answers: Sequence[TypeAnswer], alerts: int) -> pa.Array:
    """Return the answers of all catalogues as a list for each alert."""
    if not answers:
        return pa.array([[]] * alerts, CHECKED)
    values = pa.concat_arrays(
        [
            pa.StructArray.from_arrays(
                [
                    pa.repeat(pa.scalar(answer.catalog, pa.string()), alerts),
                    pa.repeat(pa.scalar(answer.version, pa.string()), alerts),
                    answer.status,
                    answer.reason,
                ],
                fields=list(CHECKED.value_type),
            )
            for answer in answers
        ]
    )
    return by_alert(values, len(answers))


def _numbers(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    numbers: np.ndarray = pc.fill_null(values, np.nan).to_numpy(zero_copy_only=False)
    return numbers.astype(np.float64)
