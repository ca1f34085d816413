"""Make ZTF-like alerts from a seed, visit by visit, as the survey would send them.

maker = ZtfMaker(seed=7, schema_version="4.02", alerts_per_visit=250)
for visit in maker.visits():
    for alert in visit.alerts:
        ...                         # alert.packet: an Avro object container
"""

import itertools
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import date
from typing import get_args

import numpy as np

from finkray.avro.container import SYNC_BYTES
from finkray.errors import SettingsError
from sim.avro_rows import Column, encode_rows
from sim.maker import MadeAlert, refuse_impossible
from sim.sky.geometry import Field, Floats, Ints, in_galactic_plane
from sim.sky.kinds import KINDS, Kind
from sim.sky.population import Population, none_for_nan
from sim.ztf.camera import grid
from sim.ztf.cutouts import CutoutPool
from sim.ztf.detection import Detections, detect, taken
from sim.ztf.fields import CANDIDATE
from sim.ztf.frame import Frame
from sim.ztf.history import FieldHistory
from sim.ztf.names import asteroid_name, object_name
from sim.ztf.neighbours import after_drift, neighbours
from sim.ztf.packet import PacketWriter, PastEntries
from sim.ztf.population import artefacts, asteroids
from sim.ztf.schedule import Exposure, night_of, night_plan
from sim.ztf.schema import Version

_KEPT_ALERTS = 20_000
"""Limit of the fields in memory: alerts of one visit to each of them, about 250 MB."""


_FEWEST_SERIALS = 10
"""A visit has one asteroid and one artefact at least, however few alerts are wanted."""


@dataclass(frozen=True, slots=True)
class Visit:
    """The alerts of one exposure, in the order of their candids; there may be none."""

    exposure: Exposure
    alerts: tuple[MadeAlert, ...]


@dataclass(frozen=True)
class _Group:
    """Detections of one visit, their objects, and what is known about these.

    Everything is in the order of the detections; `known` are columns of the candidate.
    """

    detections: Detections
    objects: Population
    names: list[str]
    sources: list[str]
    past: list[PastEntries]
    known: dict[str, Column]


class ZtfMaker:
    """Makes ZTF-like alerts without end. The same arguments give the same bytes.

    Parameters
    ----------
    seed
        Any number from 0.
    schema_version
        "4.02", which has forced photometry, or "3.3".
    alerts_per_visit
        Approximate number of alerts in a visit; it varies.
    plane_alerts
        The same for fields in the Galactic plane; default: `alerts_per_visit`.
    first_night
        The first night; if it is cloudy, the next clear one. Supernovae explode until 300
        days later.
    strange_percent
        Percentage of the alerts that are of the kinds in `sim.sky.kinds.STRANGE_KINDS`; 0 makes
        `Kind.STRANGE` alone, 1 % of the alerts.
    fields
        Numbers of the only fields to observe, as in `sim.ztf.camera.grid`; default: all. Their
        alerts are the same as if the other fields were visited too.

    Raises
    ------
    SettingsError
        An argument is not allowed.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        schema_version: Version = "4.02",
        alerts_per_visit: int = 250,
        plane_alerts: int | None = None,
        first_night: date = date(2026, 1, 15),
        strange_percent: float = 0.0,
        fields: Collection[int] | None = None,
    ) -> None:
        refuse_impossible(
            seed, schema_version, get_args(Version), alerts_per_visit, plane_alerts or 1
        )
        known_fields = {field.number for field in grid()}
        if fields is not None and not known_fields.intersection(fields):
            raise SettingsError(
                f"none of the fields {fields} is one of {min(known_fields)} to {max(known_fields)}"
            )
        self.seed = seed
        self.schema_version: Version = schema_version
        self.alerts_per_visit = alerts_per_visit
        self.plane_alerts = plane_alerts or alerts_per_visit
        self._first_night = night_of(first_night)
        self._strange_percent = strange_percent
        self._fields = known_fields if fields is None else known_fields.intersection(fields)
        self._cutouts = CutoutPool(seed)
        self._writer = PacketWriter(schema_version)

    def visits(self) -> Iterator[Visit]:
        """Yield visits without end; each call begins at the first night."""
        return (Visit(exposure, tuple(alerts)) for exposure, alerts in self._each_visit(0))

    def alerts(self, first_visit: int = 0) -> Iterator[MadeAlert]:
        """Yield the alerts of all visits from that one on, without end.

        They are made one by one: no visit is held in memory as a whole.
        """
        for _, alerts in self._each_visit(first_visit):
            yield from alerts

    def _each_visit(self, first: int) -> Iterator[tuple[Exposure, Iterator[MadeAlert]]]:
        histories: OrderedDict[int, FieldHistory] = OrderedDict()
        for visit, exposure in enumerate(self._exposures()):
            if visit >= first:
                history = self._history(histories, exposure)
                yield exposure, self._alerts_of(visit, exposure, history)

    def _exposures(self) -> Iterator[Exposure]:
        for night in itertools.count(self._first_night):
            plan = night_plan(self.seed, night)
            yield from (exposure for exposure in plan if exposure.field.number in self._fields)

    def _most_of(self, field: Field) -> int:
        return self.plane_alerts if in_galactic_plane(field) else self.alerts_per_visit

    def _history(
        self, histories: OrderedDict[int, FieldHistory], exposure: Exposure
    ) -> FieldHistory:
        field = exposure.field
        if field.number not in histories:
            histories[field.number] = FieldHistory(
                self.seed,
                field,
                alerts_per_visit=self._most_of(field),
                first_night=self._first_night,
                version=self.schema_version,
                strange_percent=self._strange_percent,
            )
        histories.move_to_end(field.number)
        kept = min(40, max(2, _KEPT_ALERTS // self._most_of(field)))
        if len(histories) > kept:
            list(histories.values())[-kept - 1].forget()
        history = histories[field.number]
        history.catch_up(exposure)
        return history

    def _alerts_of(
        self, visit: int, exposure: Exposure, history: FieldHistory
    ) -> Iterator[MadeAlert]:
        """Return the alerts of one visit in the order of their candids."""
        frame = Frame.of(self.seed, exposure)
        most = self._most_of(exposure.field)
        groups = [self._lasting(frame, history)]
        before = taken(groups[0].detections)
        # No visit has more of these than its average of alerts, and no night has a thousand visits.
        serial = (exposure.night - self._first_night) * 1_000 + exposure.number
        serial *= max(self.alerts_per_visit, self.plane_alerts, _FEWEST_SERIALS)
        for bodies in (asteroids(self.seed, exposure, most), artefacts(self.seed, exposure, most)):
            group = self._passing(frame, history, bodies, before, serial)
            groups.append(group)
            before = before + taken(group.detections)
            serial += len(group.objects)
        rng = np.random.default_rng((self.seed, 9, exposure.night, exposure.number))
        writers = [self._writer_of(visit, frame, group, rng) for group in groups]
        order = sorted(
            (candid, which, index)
            for which, group in enumerate(groups)
            for index, candid in enumerate(group.detections.candid.tolist())
        )
        return (writers[which](index) for _, which, index in order)

    def _lasting(self, frame: Frame, history: FieldHistory) -> _Group:
        detections = history.observe(frame)
        indexes = detections.object_indexes
        objects, first_jd = history.population.take(indexes), history.first_detected_jd[indexes]
        names = list(map(object_name, objects.serial.tolist(), first_jd.tolist()))
        return _Group(
            detections,
            objects,
            names=names,
            sources=names,
            past=history.before(detections),
            known={
                **_nearby(history, indexes, frame.exposure.jd),
                "ndethist": history.detected_count[indexes],
                "ncovhist": history.covered_count,
                "jdstarthist": first_jd,
            },
        )

    def _passing(
        self,
        frame: Frame,
        history: FieldHistory,
        bodies: Population,
        before: Ints,
        first_serial: int,
    ) -> _Group:
        exposure = frame.exposure
        kind = int(bodies.kind[0]) if len(bodies) else 0
        rng = np.random.default_rng((self.seed, 8, exposure.night, exposure.number, kind))
        detections = detect(rng, frame, bodies, before)
        objects = bodies.take(detections.object_indexes)
        names = [asteroid_name(first_serial + n, exposure.jd) for n in range(len(objects))]
        is_asteroid = objects.is_kind(Kind.ASTEROID).tolist()
        numbers = [str(serial) for serial in objects.serial.tolist()]
        return _Group(
            detections,
            objects,
            names=names,
            sources=[numbers[n] if is_body else names[n] for n, is_body in enumerate(is_asteroid)],
            past=history.upper_limits_before(detections.channel),
            known={
                **neighbours(rng, objects),
                "ndethist": 1,
                "ncovhist": history.covered_count,
                "jdstarthist": exposure.jd,
            },
        )

    def _writer_of(
        self, visit: int, frame: Frame, group: _Group, rng: np.random.Generator
    ) -> Callable[[int], MadeAlert]:
        """Return a function that makes the alert of one detection; all noise is drawn here."""
        rows = self._encode(frame, group)
        sync = rng.bytes(SYNC_BYTES * len(rows))
        detections = group.detections
        reference_mag = group.objects.reference_mag_gr[:, frame.exposure.filter_id - 1].tolist()
        magnitude, positive = detections.magnitude.tolist(), detections.positive.tolist()
        ra_deg, dec_deg = (np.asarray(detections.columns[name]).tolist() for name in ("ra", "dec"))
        kinds = [KINDS[kind] for kind in group.objects.kind.tolist()]
        periods = none_for_nan(group.objects.period_days)
        events = none_for_nan(group.objects.event_jd)
        candids = detections.candid.tolist()

        def write(index: int) -> MadeAlert:
            cutouts = self._cutouts.pick(
                kinds[index],
                magnitude[index],
                reference_mag[index],
                positive=positive[index],
                number=candids[index],
            )
            packet = self._writer.write(
                object_id=group.names[index],
                candid=candids[index],
                candidate=rows[index],
                past=group.past[index],
                cutouts=cutouts,
                positive=positive[index],
                sync=sync[index * SYNC_BYTES : (index + 1) * SYNC_BYTES],
            )
            return MadeAlert(
                packet=packet,
                candid=candids[index],
                object_id=group.names[index],
                jd=frame.exposure.jd,
                ra_deg=ra_deg[index],
                dec_deg=dec_deg[index],
                filter_id=frame.exposure.filter_id,
                kind=kinds[index],
                source=group.sources[index],
                visit=visit,
                schema_version=self.schema_version,
                period_days=periods[index],
                event_jd=events[index],
            )

        return write

    def _encode(self, frame: Frame, group: _Group) -> list[bytes]:
        detections = group.detections
        signal = np.asarray(detections.columns["scorr"])
        columns: dict[str, Column] = {
            **detections.columns,
            **frame.candidate_columns(detections.channel),
            **group.known,
            "jdendhist": frame.exposure.jd,
            "dsnrms": 1.3 * signal,
            "ssnrms": 2.1 * signal,
            "dsdiff": -0.8 * signal,
            "drb": _sharper(np.asarray(detections.columns["rb"])),
        }
        count = len(detections.object_indexes)
        return encode_rows(CANDIDATE, columns, rows=count, null_first=self.schema_version != "3.3")


def _nearby(history: FieldHistory, indexes: Ints, jd: float) -> dict[str, Column]:
    """Return the columns of the catalogue sources near these objects, where they are now."""
    columns = {name: column[indexes] for name, column in history.neighbours.items()}
    return {**after_drift(columns, *history.population.take(indexes).drifted_arcsec(jd))}


def _sharper(score: Floats) -> Floats:
    """Return the score of a more certain network: a score above one half moves towards one."""
    return 1 / (1 + ((1 - score) / score) ** 3)
