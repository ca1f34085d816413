"""Make ZTF-like alerts from a seed, visit by visit, as the survey would send them.

maker = AlertMaker(seed=7, schema_version="4.02", alerts_per_visit=250)
for visit in maker.visits():
    for alert in visit.alerts:
        ...                         # alert.packet: an Avro object container
"""

import itertools
from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from typing import get_args

import numpy as np

from finkray.errors import SettingsError
from sim.avro_rows import Column, encode_rows
from sim.cutouts import CutoutPool
from sim.detection import Detections, detect, taken
from sim.frame import Frame
from sim.history import FieldHistory
from sim.names import asteroid_name, object_name
from sim.neighbours import neighbours
from sim.packet import SYNC_BYTES, PacketWriter, PastEntries
from sim.population import KINDS, Kind, Population, passing
from sim.schedule import Exposure, night_of, night_plan
from sim.schema_ztf import Version
from sim.sky import Ints, grid
from sim.ztf_fields import CANDIDATE

_MOST_PER_VISIT = 100_000
_KEPT_ALERTS = 20_000
"""Fields are kept in memory until one visit to each would be so many alerts: some 250 MB."""


@dataclass(frozen=True, slots=True)
class Made:
    """One alert, and the truth about it.

    Attributes
    ----------
    packet
        The Avro object container, as it goes over the wire.
    candid, object_id, jd, ra_deg, dec_deg, filter_id
        As in the packet.
    kind, source
        What it is of, and which one: for an asteroid the number of the body, which has
        another `object_id` in each visit; else the `object_id`.
    """

    packet: bytes
    candid: int
    object_id: str
    jd: float
    ra_deg: float
    dec_deg: float
    filter_id: int
    kind: Kind
    source: str


@dataclass(frozen=True, slots=True)
class Visit:
    """The alerts of one exposure in the order of their candids; there may be none."""

    exposure: Exposure
    alerts: tuple[Made, ...]


@dataclass(frozen=True)
class _Group:
    """Detections of one visit, the objects that they are of, and what is known of these.

    Everything is in the order of the detections; `known` are columns of the candidate.
    """

    detections: Detections
    objects: Population
    names: list[str]
    sources: list[str]
    past: list[PastEntries]
    known: dict[str, Column]


class AlertMaker:
    """A survey that goes on for ever. The same arguments give the same bytes.

    Parameters
    ----------
    seed
        Any number from 0.
    schema_version
        "4.02", which has forced photometry, or "3.3".
    alerts_per_visit
        How many there are about; they vary from visit to visit.
    first_night
        The first night; if it is cloudy, the next clear one. Supernovae explode until 300
        days later.
    fields
        Numbers of the only fields to look at, as `sim.sky.grid` gives them; default: all.
        What is seen there is the same as if the others were visited too.

    Raises
    ------
    SettingsError
        An argument is not what it can be.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        schema_version: Version = "4.02",
        alerts_per_visit: int = 250,
        first_night: date = date(2026, 1, 15),
        fields: Collection[int] | None = None,
    ) -> None:
        if schema_version not in get_args(Version):
            known = ", ".join(get_args(Version))
            raise SettingsError(f"schema version {schema_version}: it can be one of {known}")
        if not 1 <= alerts_per_visit <= _MOST_PER_VISIT:
            raise SettingsError(f"{alerts_per_visit} alerts a visit: from 1 to {_MOST_PER_VISIT}")
        known_fields = {field.number for field in grid()}
        if fields is not None and not known_fields.intersection(fields):
            raise SettingsError(
                f"none of the fields {fields} is one of {min(known_fields)} to {max(known_fields)}"
            )
        if seed < 0:
            raise SettingsError(f"seed {seed}: it may not be negative")
        self.seed = seed
        self.schema_version: Version = schema_version
        self.alerts_per_visit = alerts_per_visit
        self._first_night = night_of(first_night)
        self._fields = known_fields if fields is None else known_fields.intersection(fields)
        self._cutouts = CutoutPool(seed)
        self._writer = PacketWriter(schema_version)

    def visits(self) -> Iterator[Visit]:
        """One visit after another without end, from the first night on each time."""
        histories: OrderedDict[int, FieldHistory] = OrderedDict()
        for night in itertools.count(self._first_night):
            for exposure in night_plan(self.seed, night):
                if exposure.field.number in self._fields:
                    yield self._visit(exposure, self._history(histories, exposure))

    def alerts(self) -> Iterator[Made]:
        """The alerts of all visits, one after another without end."""
        return itertools.chain.from_iterable(visit.alerts for visit in self.visits())

    def _history(
        self, histories: OrderedDict[int, FieldHistory], exposure: Exposure
    ) -> FieldHistory:
        field = exposure.field
        if field.number not in histories:
            histories[field.number] = FieldHistory(
                self.seed,
                field,
                alerts_per_visit=self.alerts_per_visit,
                first_night=self._first_night,
                version=self.schema_version,
            )
        histories.move_to_end(field.number)
        kept = min(40, max(2, _KEPT_ALERTS // self.alerts_per_visit))
        if len(histories) > kept:
            list(histories.values())[-kept - 1].forget()
        history = histories[field.number]
        history.catch_up(exposure)
        return history

    def _visit(self, exposure: Exposure, history: FieldHistory) -> Visit:
        frame = Frame.of(self.seed, exposure)
        groups = [self._lasting(frame, history)]
        groups.append(self._passing(frame, history, taken(groups[0].detections)))
        rng = np.random.default_rng((self.seed, 9, exposure.night, exposure.number))
        made = [alert for group in groups for alert in self._write(frame, group, rng)]
        return Visit(exposure, tuple(sorted(made, key=lambda alert: alert.candid)))

    def _lasting(self, frame: Frame, history: FieldHistory) -> _Group:
        detections = history.observe(frame)
        which = detections.which
        objects, first_jd = history.population.take(which), history.first_detected_jd[which]
        names = list(map(object_name, objects.serial.tolist(), first_jd.tolist()))
        return _Group(
            detections,
            objects,
            names=names,
            sources=names,
            past=history.before(detections),
            known={
                **{name: column[which] for name, column in history.neighbours.items()},
                "ndethist": history.detected_count[which],
                "ncovhist": history.covered_count,
                "jdstarthist": first_jd,
            },
        )

    def _passing(self, frame: Frame, history: FieldHistory, before: Ints) -> _Group:
        exposure = frame.exposure
        rng = np.random.default_rng((self.seed, 8, exposure.night, exposure.number))
        bodies = passing(self.seed, exposure, self.alerts_per_visit)
        detections = detect(rng, frame, bodies, before)
        objects = bodies.take(detections.which)
        # No visit has more asteroids than alerts on average, no night a thousand visits.
        visit = (exposure.night - self._first_night) * 1_000 + exposure.number
        serials = range(visit * self.alerts_per_visit, (visit + 1) * self.alerts_per_visit)
        return _Group(
            detections,
            objects,
            names=[asteroid_name(serials[place], exposure.jd) for place in range(len(objects))],
            sources=[str(serial) for serial in objects.serial.tolist()],
            past=history.before_at(detections.channel),
            known={
                **neighbours(rng, objects),
                "ndethist": 1,
                "ncovhist": history.covered_count,
                "jdstarthist": exposure.jd,
            },
        )

    def _write(self, frame: Frame, group: _Group, rng: np.random.Generator) -> Iterator[Made]:
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
            "drb": np.asarray(detections.columns["rb"]) ** 0.05,
        }
        count = len(detections.which)
        rows = encode_rows(CANDIDATE, columns, rows=count, null_first=self.schema_version != "3.3")
        sync = rng.bytes(SYNC_BYTES * count)
        reference_mag = group.objects.reference_mag_gr[:, frame.exposure.filter_id - 1].tolist()
        magnitude, positive = detections.magnitude.tolist(), detections.positive.tolist()
        ra_deg, dec_deg = (np.asarray(detections.columns[name]).tolist() for name in ("ra", "dec"))
        kinds = [KINDS[kind] for kind in group.objects.kind.tolist()]
        for place, candid in enumerate(detections.candid.tolist()):
            cutouts = self._cutouts.pick(
                kinds[place],
                magnitude[place],
                reference_mag[place],
                positive=positive[place],
                number=candid,
            )
            packet = self._writer.write(
                object_id=group.names[place],
                candid=candid,
                candidate=rows[place],
                past=group.past[place],
                cutouts=cutouts,
                positive=positive[place],
                sync=sync[place * SYNC_BYTES : (place + 1) * SYNC_BYTES],
            )
            yield Made(
                packet=packet,
                candid=candid,
                object_id=group.names[place],
                jd=frame.exposure.jd,
                ra_deg=ra_deg[place],
                dec_deg=dec_deg[place],
                filter_id=frame.exposure.filter_id,
                kind=kinds[place],
                source=group.sources[place],
            )
