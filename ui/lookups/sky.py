"""Alerts by cell of the sky. Runs in the process of the look-ups."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray import adapter
from finkray.curves.topics import topics
from finkray.outliers.muting import classes_of
from finkray.reader import Archive
from ui.lookups.objects import storage_of
from ui.lookups.records import SkyCell, SkyRecord, SkyScope
from ui.lookups.tonight import newest_alerts

HEALPIX_ORDER: Final = 4
"""3 072 cells of 3.7 degrees: the smallest whose circle a cone search takes, with room to spare."""


def sky_record(archive: Archive, scope: SkyScope, class_name: str) -> SkyRecord:
    """Return the alerts by cell of the sky, the cells with most alerts first.

    Parameters
    ----------
    archive
        The archive.
    scope
        `tonight`: the newest hours, as on the page Tonight. `archive`: all alerts.
    class_name
        Of `tonight`: only alerts that `classify` gave this class; "" is all.

    Raises
    ------
    StorageError
        A file cannot be read.
    """
    counts: Counter[int] = Counter()
    total = 0
    for table in _tables(archive, scope, class_name):
        finite = pc.and_(pc.is_finite(table["ra_deg"]), pc.is_finite(table["dec_deg"]))
        good = table.filter(finite)
        total += table.num_rows
        ra = good["ra_deg"].to_numpy() % 360.0
        dec = np.clip(good["dec_deg"].to_numpy(), -90.0, 90.0)
        pixels, alerts = np.unique(_pixels(ra, dec), return_counts=True)
        counts.update(dict(zip(pixels.tolist(), alerts.tolist(), strict=True)))
    return SkyRecord(total, tuple(_cells(counts)))


def _tables(archive: Archive, scope: SkyScope, class_name: str) -> Iterator[pa.Table]:
    if scope == "archive":
        for topic in topics(storage_of(archive)):
            for batch in topic.batches(None):
                yield adapter.detections(pa.Table.from_batches([batch]))
        return
    alerts = newest_alerts(archive)
    if class_name:
        ids = alerts["alert_id"].to_pylist()
        classes = classes_of(storage_of(archive), ids, needed=False)
        alerts = alerts.filter(pa.array([classes.get(each) == class_name for each in ids]))
    yield alerts


def _pixels(ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
    import cdshealpix
    from astropy import units
    from astropy.coordinates import Latitude, Longitude

    if not len(ra_deg):
        return np.empty(0, np.int64)
    lon, lat = Longitude(ra_deg, units.deg), Latitude(dec_deg, units.deg)
    found: np.ndarray = cdshealpix.lonlat_to_healpix(lon, lat, HEALPIX_ORDER, num_threads=1)
    return found.astype(np.int64)


def _cells(counts: Counter[int]) -> Iterator[SkyCell]:
    import cdshealpix

    if not counts:
        return
    ordered = counts.most_common()
    pixels = np.array([pixel for pixel, _ in ordered], np.uint64)
    lon, lat = cdshealpix.healpix_to_lonlat(pixels, HEALPIX_ORDER, num_threads=1)
    corner_lon, corner_lat = cdshealpix.vertices(pixels, HEALPIX_ORDER, num_threads=1)
    for row, (pixel, alerts) in enumerate(ordered):
        ra, dec = float(lon.deg[row]), float(lat.deg[row])
        corners = tuple(
            (float(each_ra), float(each_dec))
            for each_ra, each_dec in zip(corner_lon.deg[row], corner_lat.deg[row], strict=True)
        )
        yield SkyCell(pixel, alerts, ra, dec, corners)
