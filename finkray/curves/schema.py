"""The columns of a light curve."""

from typing import Final

import pyarrow as pa

KINDS: Final = ("detection", "limit", "forced")

POINT: Final = pa.schema(
    [
        ("survey", pa.string()),
        ("object_id", pa.string()),
        ("kind", pa.string()),
        ("key", pa.int64()),
        ("mjd_tai", pa.float64()),
        ("time_absurd", pa.bool_()),
        ("band", pa.string()),
        ("flux_njy", pa.float64()),
        ("flux_err_njy", pa.float64()),
        ("limit_mag", pa.float64()),
        ("mag", pa.float64()),
        ("mag_err", pa.float64()),
        ("apparent_mag", pa.float64()),
        ("apparent_mag_err", pa.float64()),
        ("apparent_status", pa.string()),
        ("apparent_mixed", pa.bool_()),
        ("ref_mag", pa.float64()),
        ("ref_mag_err", pa.float64()),
        ("ref_distance_arcsec", pa.float64()),
        ("field", pa.int32()),
        ("rcid", pa.int32()),
        ("fid", pa.int32()),
        ("procstatus", pa.string()),
        ("ra_deg", pa.float64()),
        ("dec_deg", pa.float64()),
        ("image", pa.int64()),
        ("detector", pa.int32()),
        ("double", pa.bool_()),
        ("alert_id", pa.int64()),
        ("own_alert", pa.bool_()),
    ]
)
"""Columns of a light curve, one row for each measurement.

| column | meaning |
|---|---|
| survey | `ztf` or `lsst` |
| object_id | ZTF objectId; LSST diaObjectId, or ssObjectId of a Solar System object |
| kind | `detection`; `limit`, an image in which nothing was found; `forced`, photometry at a position |
| key | identifies the measurement within its kind: candid, pid (limit, forced); diaSourceId, diaForcedSourceId |
| mjd_tai | MJD, TAI: start (ZTF) or middle (LSST) of the exposure |
| time_absurd | the time is missing, outside 2000 to 2100, or later than that of the packet that brought the point |
| band | g, r, i of ZTF; u, g, r, i, z, y of LSST |
| flux_njy, flux_err_njy | signed flux of the difference image; null for a limit and for what could not be measured |
| limit_mag | 5 sigma limiting magnitude; of forced photometry, 5 times its own error; null for LSST's detections |
| mag, mag_err | AB magnitude of the amount of the difference flux, where it is above 3 sigma |
| apparent_mag, apparent_mag_err | of difference and reference together; the two errors are added in quadrature |
| apparent_status | why there is an apparent magnitude or none: see `finkray.curves.magnitudes` |
| apparent_mixed | detections of this object and band are in part with, in part without an apparent magnitude |
| ref_mag, ref_mag_err, ref_distance_arcsec | nearest source of the reference image of (field, rcid, fid) |
| field, rcid, fid | ZTF's field, readout channel and filter: each has its own reference |
| procstatus | of ZTF's forced photometry: "0" is good |
| ra_deg, dec_deg | ICRS, of the measurement; null for limits and ZTF's forced photometry |
| image | pid (ZTF) or visit (LSST) |
| detector | LSST's detector |
| double | another detection of the same image is nearer to the object: leave it out of plots, fits and counts |
| alert_id | of the alert that brought the point: candid or diaSourceId |
| own_alert | the measurement caused an alert itself, and is not in histories alone |
"""  # noqa: E501 - a table
