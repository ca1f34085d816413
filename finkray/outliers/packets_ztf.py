"""What features of ZTF's alerts are made of: the detections and the history before each. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import pyarrow as pa

from finkray.adapter.ztf import sign_of_isdiffpos
from finkray.outliers.arrays import (
    Floats,
    Groups,
    columns_of,
    flat,
    floats,
    list_counts,
    texts,
    wrapped_degrees,
)

CANDIDATE: Final = (
    *("jd", "fid", "ra", "dec", "magpsf", "sigmapsf", "isdiffpos", "diffmaglim"),
    *("distnr", "magnr", "chinr", "sharpnr", "distpsnr1", "sgscore1", "srmag1"),
    *("seeratio", "elong", "aimagerat", "bimagerat", "nneg"),
    *("nbad", "sumrat", "classtar", "chipsf", "magdiff", "rb"),
)
_HISTORY: Final = ("jd", "fid", "ra", "dec", "magpsf", "sigmapsf", "isdiffpos", "diffmaglim")

COLUMNS: Final = (
    *(f"candidate.{name}" for name in CANDIDATE),
    *(f"prv_candidates.{name}" for name in _HISTORY),
)
"""The packet columns that are read: by `Packets`, and for features and image quality."""

_SAME_EXPOSURE_D: Final = 1e-5
"""Entries of the history within 0.9 s of the detection are the detection itself."""


@dataclass(frozen=True)
class Detections:
    """The detections: a value for each alert."""

    jd: Floats
    fid: Floats
    ra_deg: Floats
    dec_deg: Floats
    mag: Floats
    mag_err: Floats
    sign: Floats

    @classmethod
    def of(cls, read: Mapping[str, pa.Array]) -> "Detections":
        """Read the detections from columns of `COLUMNS`."""
        jd, fid, ra, dec = (number_of(read, name) for name in ("jd", "fid", "ra", "dec"))
        mag, error = number_of(read, "magpsf"), number_of(read, "sigmapsf")
        return cls(jd, fid, ra, dec, mag, error, _sign(read["candidate.isdiffpos"]))


@dataclass(frozen=True)
class Points:
    """The history before each detection, in the order of time; one entry an exposure and band."""

    groups: Groups
    jd: Floats
    fid: Floats
    ra_deg: Floats
    dec_deg: Floats
    mag: Floats
    mag_err: Floats
    limit_mag: Floats
    sign: Floats

    @classmethod
    def of(cls, detections: Detections, read: Mapping[str, pa.Array]) -> "Points":
        """Read the history from columns of `COLUMNS`."""
        counts = list_counts(read["prv_candidates.jd"])
        alert = np.repeat(np.arange(len(counts)), counts)

        def of_points(name: str) -> Floats:
            return floats(flat(read[f"prv_candidates.{name}"], counts), sentinel=True)

        names = ("jd", "fid", "ra", "dec", "magpsf", "sigmapsf", "diffmaglim")
        values = [of_points(name) for name in names]
        values.append(_sign(flat(read["prv_candidates.isdiffpos"], counts)))
        jd, fid, ra, dec, mag = values[:5]
        usable = jd < detections.jd[alert] - _SAME_EXPOSURE_D
        # Histories come in the order of time: those that do not are sorted.
        ahead = np.diff(jd) >= _SAME_EXPOSURE_D
        unsorted = np.zeros(len(counts), bool)
        unsorted[alert[1:][~ahead & (alert[1:] == alert[:-1])]] = True
        some = np.flatnonzero(unsorted[alert])
        whose = alert[some]
        # A source may be there twice in an exposure: the entry nearest to the detection counts.
        east = (
            wrapped_degrees(ra[some] - detections.ra_deg[whose])
            * cos_dec(detections.dec_deg)[whose]
        )
        away = np.hypot(east, dec[some] - detections.dec_deg[whose])
        away = np.where(np.isfinite(mag[some]), np.where(np.isnan(away), 1e3, away), 1e4)
        order = np.arange(len(alert))
        order[some] = some[np.lexsort((away, fid[some], jd[some], whose))]
        order = order[usable[order]]
        whose, when, band = alert[order], jd[order], fid[order]
        again = np.zeros(len(order), bool)
        again[1:] = (
            (whose[1:] == whose[:-1])
            & (when[1:] - when[:-1] < _SAME_EXPOSURE_D)
            & (band[1:] == band[:-1])
        )
        kept = order[~again]
        return cls(Groups(alert[kept], len(counts)), *(column[kept] for column in values))

    def take(self, mask: np.ndarray) -> "Points":
        """Return the selected points."""
        # Picked by number: numpy takes four times as long to pick by a mask.
        picked = np.flatnonzero(mask)
        columns = (getattr(self, each.name)[picked] for each in fields(self)[1:])
        return Points(Groups(self.groups.alert[picked], self.groups.alerts), *columns)


@dataclass(frozen=True)
class Packets:
    """What is read of alerts: columns by name, the detections, and the history before each."""

    read: Mapping[str, pa.Array]
    detections: Detections
    points: Points

    @classmethod
    def of(cls, alerts: pa.Table) -> "Packets":
        """Read alerts, nested or with columns named as in `COLUMNS`."""
        read = columns_of(alerts, COLUMNS)
        detections = Detections.of(read)
        return cls(read, detections, Points.of(detections, read))


def number_of(read: Mapping[str, pa.Array], name: str) -> Floats:
    """Return a number of each candidate; NaN where it is missing."""
    return floats(read[f"candidate.{name}"], sentinel=True)


def _sign(values: pa.Array) -> Floats:
    return floats(sign_of_isdiffpos(texts(values)))


def cos_dec(dec: Floats) -> Floats:
    """Return by how much a degree of right ascension is shorter there than at the equator."""
    return np.cos(np.radians(dec))
