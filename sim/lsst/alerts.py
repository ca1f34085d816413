"""Make LSST-like alerts from a seed, visit by visit, in the survey's wire format.

for alert in LsstMaker(seed=7, schema_version="10.0", alerts_per_visit=250).alerts():
    ...                             # alert.packet: a Confluent frame
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import get_args

import numpy as np

from finkray.avro.container import encode_bytes, encode_long
from sim.avro_rows import Column, FieldSpec, encode_rows
from sim.lsst.bodies import moving, solar_system_rows
from sim.lsst.cutouts import CutoutPool, Cutouts
from sim.lsst.fields import FORCED_SOURCE, OBJECT, SOURCE, fields_of
from sim.lsst.schema import Version, schema_id
from sim.lsst.sources import (
    NUMBERS,
    ZERO_MAG,
    Sightings,
    forced_columns,
    object_columns,
    source_columns,
    utc_jd,
)
from sim.lsst.visits import Visits, camera_deg, field_of, on_camera, visits_to
from sim.maker import MadeAlert, refuse_impossible
from sim.sky.geometry import Field, Ints, in_galactic_plane
from sim.sky.kinds import KINDS, LASTING, Kind
from sim.sky.population import Population, count, joined, none_for_nan, passing, populated
from sim.sky.strange import STRANGE_SEEN_SHARE, lasting_counts, with_strange

MOST_SOURCES = 1_200
"""No alert has more previous detections."""

_DEEPER_MAG = 3.7
_AT_A_TIME = 64
_NULL, _VALUE = b"\x00", b"\x02"
_MOVING_FROM, _BROKEN_FROM = NUMBERS // 2, 3 * NUMBERS // 4

# Share of the objects in a field that are detected in a visit (counted).
_SEEN_SHARE = {
    Kind.RR_LYRAE: 0.75,
    Kind.MIRA: 0.75,
    Kind.ECLIPSING: 0.30,
    Kind.FLARE_STAR: 0.36,
    Kind.MICROLENSING: 0.25,
    Kind.ACTIVE_GALAXY: 0.45,
    Kind.SUPERNOVA: 0.13,
    Kind.STRANGE: 0.9,
    Kind.ASTEROID: 0.8,
    Kind.ARTEFACT: 0.8,
    **STRANGE_SEEN_SHARE,
}


@dataclass(frozen=True)
class _Past:
    """Earlier measurements, encoded; `which` is the index of the object of each, ascending."""

    seen: Sightings
    which: Ints
    sources: list[bytes]
    forced_which: Ints
    forced: list[bytes]

    def of(self, index: int) -> list[bytes]:
        """Return the two arrays of one alert, each a union with null."""
        return [
            piece
            for which, rows in ((self.which, self.sources), (self.forced_which, self.forced))
            for piece in _array(rows[slice(*np.searchsorted(which, (index, index + 1)))])
        ]


def _array(rows: list[bytes]) -> list[bytes]:
    return [_VALUE, encode_long(len(rows)), *rows, b"\x00"] if rows else [_NULL]


def _at(visits: Visits, places: Ints) -> Visits:
    return Visits(visits.visit[places], visits.mjd_tai[places], visits.band[places])


class LsstMaker:
    """Makes LSST-like alerts without end. The same arguments give the same bytes.

    Parameters
    ----------
    seed
        Any number from 0.
    schema_version
        "10.0" or "11.0".
    alerts_per_visit, plane_alerts
        Approximate number of alerts in a visit outside of the Galactic plane, and in it (default:
        as many).
    first_night
        The first night; supernovae explode until 300 days later.
    strange_percent
        Percentage of the alerts that are of the kinds in `sim.sky.kinds.STRANGE_KINDS`; 0 makes
        `Kind.STRANGE` alone, 1 % of the alerts.

    Raises
    ------
    SettingsError
        An argument is not allowed.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        schema_version: Version = "10.0",
        alerts_per_visit: int = 250,
        plane_alerts: int | None = None,
        first_night: date = date(2026, 3, 9),
        strange_percent: float = 0.0,
    ) -> None:
        refuse_impossible(
            seed, schema_version, get_args(Version), alerts_per_visit, plane_alerts or 1
        )
        self.seed = seed
        self.schema_version: Version = schema_version
        self.alerts_per_visit = alerts_per_visit
        self.plane_alerts = plane_alerts or alerts_per_visit
        self._first_night = first_night
        self._strange_percent = strange_percent
        self._major = schema_id(schema_version) // 100
        self._frame = b"\x00" + schema_id(schema_version).to_bytes(4, "big")
        self._cutouts = CutoutPool(seed)
        # Only of the last field: the telescope stays on a field for many visits.
        self._lasting = lru_cache(maxsize=1)(self._lasting_of)

    def alerts(self, first_visit: int = 0) -> Iterator[MadeAlert]:
        """Yield the alerts of all visits from that one on, without end."""
        for number in itertools.count(first_visit):
            yield from self._alerts_of(number)

    def _alerts_of(self, number: int) -> Iterator[MadeAlert]:
        field, visits = field_of(number), visits_to(self._first_night, number)
        objects, identity = self._objects_in(field, visits, number)
        last = np.full(len(objects), len(visits) - 1)
        seen = Sightings(self.seed, objects, identity, _at(visits, last))
        rng = np.random.default_rng((self.seed, 11, number))
        which = rng.permutation(np.flatnonzero(seen.detected))
        for first in range(0, len(which), _AT_A_TIME):
            yield from self._some(number, seen.take(which[first : first + _AT_A_TIME]), visits)

    def _lasting_of(self, field: Field) -> Population:
        rng = np.random.default_rng((self.seed, 12, field.number))
        strange_rng = np.random.default_rng((self.seed, 17, field.number))
        counts = lasting_counts(
            strange_rng, self._most_of(field), _SEEN_SHARE, self._strange_percent
        )
        size = sum(counts.values())
        # The corners have no detectors: a quarter more than needed is always enough.
        share = rng.random((size + size // 2 + 100, 2)) - 0.5
        places, inside = on_camera(field, share * camera_deg())
        population = populated(
            rng,
            counts,
            places.take(np.flatnonzero(inside)[:size]),
            first_serial=0,
            begins_jd=float(utc_jd(visits_to(self._first_night, 0).mjd_tai[-1:])[0]),
            deeper_mag=_DEEPER_MAG,
        )
        if not self._strange_percent:
            return population
        return with_strange(strange_rng, population, deeper_mag=_DEEPER_MAG)

    def _objects_in(self, field: Field, visits: Visits, number: int) -> tuple[Population, Ints]:
        """Return the objects in the field of the newest visit, and the identity of each."""
        lasting = self._lasting(field)
        mjd = float(visits.mjd_tai[-1])
        bodies, body_numbers = moving(self.seed, field, mjd, self._count(field, Kind.ASTEROID))
        broken = self._broken(field, number)
        numbers = [
            lasting.serial,
            _MOVING_FROM + body_numbers,
            _BROKEN_FROM + np.arange(len(broken)),
        ]
        identity = field.number * NUMBERS + np.concatenate(numbers)
        return joined([lasting, bodies, broken]), identity

    def _broken(self, field: Field, number: int) -> Population:
        rng = np.random.default_rng((self.seed, 13, number))
        size = self._count(field, Kind.ARTEFACT)
        places, inside = on_camera(field, (rng.random((size, 2)) - 0.5) * camera_deg())
        found = passing(rng, Kind.ARTEFACT, places, rng.uniform(19, 24, size), np.arange(size))
        return found.take(np.flatnonzero(inside))

    def _count(self, field: Field, kind: Kind) -> int:
        return count(kind, self._most_of(field), _SEEN_SHARE[kind])

    def _most_of(self, field: Field) -> int:
        return self.plane_alerts if in_galactic_plane(field) else self.alerts_per_visit

    def _some(self, number: int, now: Sightings, visits: Visits) -> Iterator[MadeAlert]:
        """Yield the alerts of some of the objects that are detected now."""
        past = self._past(now, visits)
        picks = self._pick_cutouts(now)
        rows = self._encode(SOURCE, source_columns(now), len(picks))
        is_body = now.objects.is_kind(Kind.ASTEROID)
        designations, solar_system = solar_system_rows(now, is_body)
        objects = self._object_rows(now, past)
        ra, dec = (np.asarray(column).tolist() for column in now.position[:2])
        jd = utc_jd(now.visits.mjd_tai).tolist()
        source_ids, object_ids = now.source_id.tolist(), now.object_id.tolist()
        periods, events = map(none_for_nan, (now.objects.period_days, now.objects.event_jd))
        for index, source_id in enumerate(source_ids):
            body = bool(is_body[index])
            name = designations[index] if body else str(object_ids[index])
            cutouts = picks[index]
            packet = b"".join(
                [
                    self._frame,
                    encode_long(source_id),
                    _VALUE + encode_bytes(b"simulated"),
                    _VALUE + encode_bytes(f"field {field_of(number).number}".encode()),
                    rows[index],
                    *past.of(index),
                    _NULL if body else _VALUE + objects[index],
                    solar_system[index] if body else _NULL * 2,
                    *(
                        value
                        for pieces in (cutouts.difference, cutouts.science, cutouts.template)
                        for value in (_VALUE, pieces.at(ra[index], dec[index]))
                    ),
                ]
            )
            yield MadeAlert(
                packet=packet,
                candid=source_id,
                object_id=name,
                jd=jd[index],
                ra_deg=ra[index],
                dec_deg=dec[index],
                filter_id=1 + int(now.visits.band[index]),
                kind=KINDS[now.objects.kind[index]],
                source=name,
                visit=number,
                schema_version=self.schema_version,
                period_days=periods[index],
                event_jd=events[index],
            )

    def _past(self, now: Sightings, visits: Visits) -> "_Past":
        """Return all earlier detections and forced measurements of these objects."""
        lasting = np.flatnonzero(now.objects.is_kind(*LASTING))
        earlier = len(visits) - 1
        which = np.repeat(lasting, earlier)
        when = np.tile(np.arange(earlier), len(lasting))
        pairs = Sightings(now.seed, now.objects.take(which), now.identity[which], _at(visits, when))
        detected = pairs.detected.reshape(len(lasting), earlier)
        from_newest = np.cumsum(detected[:, ::-1], axis=1)[:, ::-1]
        sent = (detected & (from_newest <= MOST_SOURCES)).ravel()
        # Forced photometry of an object begins with its first detection.
        forced = np.logical_or.accumulate(detected, axis=1).ravel()
        seen, measured = pairs.take(sent), pairs.take(forced)
        return _Past(
            seen=seen,
            which=which[sent],
            sources=self._encode(SOURCE, source_columns(seen), int(sent.sum())),
            forced_which=which[forced],
            forced=self._encode(FORCED_SOURCE, forced_columns(measured), int(forced.sum())),
        )

    def _object_rows(self, now: Sightings, past: "_Past") -> list[bytes]:
        everything = Sightings(
            now.seed,
            joined([past.seen.objects, now.objects]),
            np.concatenate([past.seen.identity, now.identity]),
            Visits(
                np.concatenate([past.seen.visits.visit, now.visits.visit]),
                np.concatenate([past.seen.visits.mjd_tai, now.visits.mjd_tai]),
                np.concatenate([past.seen.visits.band, now.visits.band]),
            ),
        )
        which = np.concatenate([past.which, np.arange(len(now.identity))])
        return self._encode(OBJECT, object_columns(everything, which, now), len(now.identity))

    def _encode(
        self, table: tuple[FieldSpec, ...], columns: dict[str, Column], rows: int
    ) -> list[bytes]:
        return encode_rows(fields_of(table, self._major), columns, rows=rows, null_first=True)

    def _pick_cutouts(self, now: Sightings) -> list[Cutouts]:
        magnitude = ZERO_MAG - 2.5 * np.log10(np.abs(now.measured_njy) + 1)
        reference = ZERO_MAG - 2.5 * np.log10(now.reference_njy + 1)
        return [
            self._cutouts.pick(KINDS[kind], mag, reference_mag, positive=positive, size=size)
            for kind, mag, reference_mag, positive, size in zip(
                now.objects.kind.tolist(),
                magnitude.tolist(),
                reference.tolist(),
                (now.measured_njy > 0).tolist(),
                now.size_pixels.tolist(),
                strict=True,
            )
        ]
