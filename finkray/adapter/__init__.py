"""Read the alerts of all surveys in shared columns, so that a service is written once.

    class Bright(finkray.Service):
        columns = adapter.columns("detection")
        def process(self, alerts):
            detections = adapter.detections(alerts)
            bright = pc.greater(detections["flux_njy"], 36_000)

A table may have the packets of one survey, of several of its schema versions, or of several surveys
at once. Columns that it does not have are read as null; so are ZTF's sentinels (-999, "null").

Each survey has a `SurveyAdapter` in a file of its own; the functions here combine their columns.
"""

import zlib
from functools import reduce
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.adapter.columns import NJY_ZEROPOINT_MAG, find
from finkray.adapter.lsst import LSST_ADAPTER
from finkray.adapter.survey_adapter import (
    CUTOUTS,
    DETECTION,
    HISTORY_POINT,
    NEIGHBOUR,
    SOLAR_SYSTEM,
    Part,
    SurveyAdapter,
)
from finkray.adapter.ztf import NEAR_KNOWN_ARCSEC, ZTF_ADAPTER

__all__ = [
    "CUTOUTS",
    "DETECTION",
    "HISTORY_POINT",
    "NEAR_KNOWN_ARCSEC",
    "NEIGHBOUR",
    "NJY_ZEROPOINT_MAG",
    "SOLAR_SYSTEM",
    "Part",
    "columns",
    "cutouts",
    "detections",
    "fits_bytes",
    "history",
    "neighbours",
    "positions",
    "solar_system",
]

ADAPTERS: Final[tuple[SurveyAdapter, ...]] = (ZTF_ADAPTER, LSST_ADAPTER)
"""One for each survey. An alert belongs to the last of these surveys whose adapter finds its id."""


def columns(*parts: Part) -> list[str]:
    """Return the packet columns that these functions read, of all surveys and schema versions.

    Parameters
    ----------
    parts
        "detection" for `detections` and `positions`; "solar_system", "neighbour", "history",
        "cutouts" for the functions of these names
    """
    read = (column for part in parts for adapter in ADAPTERS for column in adapter.reads[part])
    return list(dict.fromkeys(read))


def detections(alerts: pa.Table) -> pa.Table:
    """Return the detection of each alert: columns of `DETECTION`, a row for each.

    Parameters
    ----------
    alerts
        nested alerts of either survey, or of both, as an archive has them; of the columns those
        that `columns` names are read, and null is returned for what is not there
    """
    tables = [(adapter.survey.name, adapter.detections(alerts)) for adapter in reversed(ADAPTERS)]
    names = [
        pc.if_else(pc.is_valid(table["alert_id"]), name, pa.scalar(None, pa.string()))
        for name, table in tables
    ]
    out = {"survey": pc.coalesce(*names)}
    for name in DETECTION.names[1:]:
        out[name] = pc.coalesce(*(table[name] for _, table in tables))
    return pa.table(out).cast(DETECTION)


def positions(alerts: pa.Table) -> pa.Table:
    """Return `ra_deg`, `dec_deg` and `mjd_tai` of each alert; parameters are as of `detections`."""
    return detections(alerts).select(["ra_deg", "dec_deg", "mjd_tai"])


def solar_system(alerts: pa.Table) -> pa.Table:
    """Return whether alerts are of known Solar System objects: columns of `SOLAR_SYSTEM`.

    Parameters are as of `detections`.
    """
    tables = [adapter.solar_system(alerts) for adapter in reversed(ADAPTERS)]
    out = {"solar_system": reduce(pc.or_, (table["solar_system"] for table in tables))}
    for name in SOLAR_SYSTEM.names[1:]:
        out[name] = pc.coalesce(*(table[name] for table in tables))
    return pa.table(out).cast(SOLAR_SYSTEM)


def neighbours(alerts: pa.Table) -> pa.Table:
    """Return the nearest source that the packet names: columns of `NEIGHBOUR`, else null.

    Parameters are as of `detections`.
    """
    tables = [adapter.neighbours(alerts) for adapter in reversed(ADAPTERS)]
    out = {name: pc.coalesce(*(table[name] for table in tables)) for name in NEIGHBOUR.names}
    return pa.table(out).cast(NEIGHBOUR)


def history(alerts: pa.Table) -> pa.Array:
    """Return earlier observations from the packets: a list of `HISTORY_POINT` for each alert.

    They are ZTF's `prv_candidates` and LSST's `prvDiaSources`, in the packets' order; forced
    photometry is not among them. An alert without history has an empty list. Parameters are as of
    `detections`.
    """
    all_points = []
    counts = starts = np.zeros(alerts.num_rows, np.int64)
    points_before = 0
    for adapter in ADAPTERS:
        lists = _lists(alerts, adapter)
        starts = np.where(lists.counts > 0, lists.starts + points_before, starts)
        counts = np.where(lists.counts > 0, lists.counts, counts)
        all_points.append(lists.points)
        points_before += len(lists.points)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    order = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
    points = pa.concat_arrays(all_points).take(pa.array(order))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), points)


class _Lists(NamedTuple):
    """The points of all alerts of a survey in an array; start and number of those of each alert."""

    points: pa.Array
    starts: np.ndarray
    counts: np.ndarray


def _lists(alerts: pa.Table, adapter: SurveyAdapter) -> _Lists:
    values = find(alerts, adapter.history_column)
    if values is None or pa.types.is_null(values.type):
        zeros = np.zeros(alerts.num_rows, np.int64)
        return _Lists(pa.array([], HISTORY_POINT), zeros, zeros)
    counts = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
    counts = counts.astype(np.int64)
    points = adapter.history_points(pa.table({"point": pc.list_flatten(values)}))
    return _Lists(points, np.cumsum(counts) - counts, counts)


def cutouts(alerts: pa.Table) -> pa.Table:
    """Return the three images as the packets have them: columns of `CUTOUTS`.

    `fits_bytes` makes FITS of each. Parameters are as of `detections`.
    """
    out = {
        name: pc.coalesce(*(adapter.cutout(alerts, name) for adapter in reversed(ADAPTERS)))
        for name in CUTOUTS.names
    }
    return pa.table(out).cast(CUTOUTS)


def fits_bytes(cutout: bytes) -> bytes:
    """Return a cutout as a FITS file: ZTF's are gzipped, LSST's are not.

    Bytes behind the gzipped file are ignored, as gzip itself does.

    Parameters
    ----------
    cutout
        an image as `cutouts` returns it

    Raises
    ------
    ValueError
        If the gzipped file is damaged or cut short.
    """
    if not cutout.startswith(b"\x1f\x8b"):
        return cutout
    decompressor = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        content = decompressor.decompress(cutout)
    except zlib.error as error:
        raise ValueError(f"the cutout is no valid gzip file: {error}") from error
    if not decompressor.eof:
        raise ValueError(
            f"the cutout is cut short: its gzip file goes on after {len(cutout)} bytes"
        )
    return content
