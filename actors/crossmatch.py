"""Service that looks each alert up in every reference catalogue.

    answer = match(adapter.positions(alerts), catalogs.current("gcvs"))

`Crossmatch` is the service; `match` looks alerts up in a single catalogue.
"""

from collections.abc import Callable
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

import finkray
from actors.matching import (
    CATALOG_UNREADABLE,
    NOT_CHECKED,
    by_alert,
    log_unchecked,
    match,
    match_current,
    single_array,
)
from actors.settings import catalogs_of
from finkray import adapter

__all__ = [
    "MATCHES",
    "Crossmatch",
    "as_matches",
    "guarded_matches",
    "match",
    "match_current",
    "matches_by_alert",
]


MATCHES: Final = pa.list_(
    pa.struct(
        [
            ("catalog", pa.string()),
            ("version", pa.string()),
            ("status", pa.string()),
            ("reason", pa.string()),
            ("number", pa.int32()),
            ("separation_arcsec", pa.float64()),
            ("ra_deg", pa.float64()),
            ("dec_deg", pa.float64()),
            ("source", pa.map_(pa.string(), pa.string())),
        ]
    )
)
"""Type of the column `matches`: for each alert a list with the answer of each catalogue. `source`
holds the carried columns as text, so that the type is the same for any set of catalogues."""


class Crossmatch(finkray.Service):
    """Look each alert up in every catalogue, and mark known Solar System objects.

    The catalogues are those that `finkray catalog` has built in the folder of the settings
    (`[catalogs]`). A catalogue or a version that is added is used from the next batch on.
    """

    name = "crossmatch"
    version = "1"
    columns = adapter.columns("detection", "solar_system")
    shares = ("catalogs",)
    output = pa.schema(
        [
            ("solar_system", pa.bool_()),
            ("solar_system_name", pa.string()),
            ("solar_system_separation_arcsec", pa.float64()),
            ("matches", MATCHES),
        ]
    )

    def setup(self) -> None:
        """Open the folder of the catalogues; shards are read when alerts need them."""
        self._catalogs = catalogs_of(self.shared)

    def process(self, alerts: pa.Table) -> pa.Table:
        """Look alerts up in all catalogues."""
        positions = adapter.positions(alerts)
        answers = [self._answer(positions, name) for name in self._catalogs.in_use()]
        known = adapter.solar_system(alerts)
        columns = [known[column] for column in known.column_names]
        return pa.table([*columns, matches_by_alert(answers, alerts.num_rows)], schema=self.output)

    def _answer(self, positions: pa.Table, name: str) -> pa.Array:
        return guarded_matches(
            name,
            positions.num_rows,
            CATALOG_UNREADABLE,
            lambda: as_matches(name, match_current(positions, self._catalogs, name)),
        )


def guarded_matches(
    name: str, alerts: int, reason: str, answer: Callable[[], pa.Array]
) -> pa.Array:
    """Return the answers of a catalogue; `not_checked` for all alerts if it raises anything.

    A damaged catalogue, or one with unforeseen content, never stops the answers of the others.

    Parameters
    ----------
    name
        name of the catalogue
    alerts
        number of alerts
    reason
        reason of `not_checked` if `answer` raises
    answer
        looks the alerts up in the catalogue; returns values of the list `MATCHES`
    """
    try:
        return answer()
    except Exception as error:  # noqa: BLE001 - the other catalogues go on
        log_unchecked(name, error)
        unchecked = {
            "status": pa.array([NOT_CHECKED] * alerts, pa.string()),
            "reason": pa.array([reason] * alerts, pa.string()),
        }
        return as_matches(name, pa.table(unchecked))


def as_matches(name: str, answer: pa.Table) -> pa.Array:
    """Return the answers of a catalogue, on disk or on the web, as values of the list `MATCHES`."""
    match_type, count = MATCHES.value_type, answer.num_rows
    columns: dict[str, pa.Array] = {"catalog": pa.array([name] * count, pa.string())}
    for column in ("version", "status", "reason", "number", "separation_arcsec"):
        if column in answer.column_names:
            columns[column] = single_array(answer[column])
    if "nearest" in answer.column_names:
        nearest = single_array(answer["nearest"])
        columns |= {column: pc.struct_field(nearest, column) for column in ("ra_deg", "dec_deg")}
        columns["source"] = _as_map(nearest)
    elif "source" in answer.column_names:
        columns["source"] = single_array(answer["source"])
    return pa.StructArray.from_arrays(
        [
            columns[field.name] if field.name in columns else pa.nulls(count, field.type)
            for field in match_type
        ],
        fields=list(match_type),
    )


def _as_map(nearest: pa.StructArray) -> pa.Array:
    """Return the carried columns of sources as text by name; null where there is no source."""
    names = [field.name for field in nearest.type][2:]
    texts = [pc.struct_field(nearest, name).cast(pa.string()) for name in names]
    rows = zip(*(text.to_pylist() for text in texts), strict=True) if names else iter(())
    has_source = nearest.is_valid().to_pylist()
    pairs = list(rows) if names else [()] * len(nearest)
    return pa.array(
        [
            list(zip(names, row, strict=True)) if matched else None
            for row, matched in zip(pairs, has_source, strict=True)
        ],
        pa.map_(pa.string(), pa.string()),
    )


def matches_by_alert(answers: list[pa.Array], alerts: int) -> pa.Array:
    """Return a list of answers for each alert, from one array of answers for each catalogue."""
    if not answers:
        return pa.array([[]] * alerts, MATCHES)
    return by_alert(pa.concat_arrays(answers), len(answers))
