"""Cross-match: every alert looked up in the reference catalogues.

    answer = match(adapter.positions(alerts), catalogs.current("gcvs"))

`Crossmatch` is the service that asks every catalogue of the folder about every alert.
"""

import logging
from collections.abc import Callable
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

import finkray
from actors.matching import (
    CATALOG_UNREADABLE,
    NOT_CHECKED,
    by_alert,
    match,
    match_current,
    one_piece,
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

_LOG = logging.getLogger(__name__)

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
"""What the service says of an alert: an answer of each catalogue, by its name. `source` has the
columns that are carried, as text, so that catalogues come and go and the type stays."""


class Crossmatch(finkray.Service):
    """Every alert in every catalogue, and whether it is a known Solar System object.

    The catalogues are those that `finkray catalog` has built in the folder of the settings
    (`[catalogs]`). One that is added, or another version, is used from the next batch on.
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
        """Look where the catalogues are; shards are read when alerts need them."""
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

    A catalogue that is damaged or holds what was not foreseen never stops the answers of others.

    Parameters
    ----------
    name
        of the catalogue
    alerts
        how many there are
    reason
        why they are not checked if it raises
    answer
        asks the catalogue; gives values of `MATCHES`
    """
    try:
        return answer()
    except Exception as error:  # noqa: BLE001 - the bulkhead around a catalogue
        _LOG.warning("catalogue %s: not checked: %s: %s", name, type(error).__name__, error)
        unchecked = {
            "status": pa.array([NOT_CHECKED] * alerts, pa.string()),
            "reason": pa.array([reason] * alerts, pa.string()),
        }
        return as_matches(name, pa.table(unchecked))


def as_matches(name: str, answer: pa.Table) -> pa.Array:
    """The answers of a catalogue, on disk or on the web, as values of `MATCHES`."""
    kind, count = MATCHES.value_type, answer.num_rows
    columns: dict[str, pa.Array] = {"catalog": pa.array([name] * count, pa.string())}
    for column in ("version", "status", "reason", "number", "separation_arcsec"):
        if column in answer.column_names:
            columns[column] = one_piece(answer[column])
    if "nearest" in answer.column_names:
        nearest = one_piece(answer["nearest"])
        columns |= {column: pc.struct_field(nearest, column) for column in ("ra_deg", "dec_deg")}
        columns["source"] = _as_map(nearest)
    elif "source" in answer.column_names:
        columns["source"] = one_piece(answer["source"])
    return pa.StructArray.from_arrays(
        [
            columns[field.name] if field.name in columns else pa.nulls(count, field.type)
            for field in kind
        ],
        fields=list(kind),
    )


def _as_map(nearest: pa.StructArray) -> pa.Array:
    """The carried columns of sources as text by name; null where there is no source."""
    names = [field.name for field in nearest.type][2:]
    texts = [pc.struct_field(nearest, name).cast(pa.string()) for name in names]
    rows = zip(*(text.to_pylist() for text in texts), strict=True) if names else iter(())
    there = nearest.is_valid().to_pylist()
    pairs = list(rows) if names else [()] * len(nearest)
    return pa.array(
        [
            list(zip(names, row, strict=True)) if found else None
            for row, found in zip(pairs, there, strict=True)
        ],
        pa.map_(pa.string(), pa.string()),
    )


def matches_by_alert(answers: list[pa.Array], alerts: int) -> pa.Array:
    """From the answers of each catalogue to the answers about each alert."""
    if not answers:
        return pa.array([[]] * alerts, MATCHES)
    return by_alert(pa.concat_arrays(answers), len(answers))
