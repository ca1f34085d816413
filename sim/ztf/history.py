"""The history of a field: its objects and, encoded, their last thirty days.

A history is a function of the seed and the schedule. It is computed when the telescope comes to a
field, kept while it stays near, and can be dropped: computed again it is the same.
"""

from collections import deque
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sim.avro_rows import encode_rows
from sim.sky.geometry import Field, Floats, Ints
from sim.sky.kinds import NEW
from sim.sky.population import Population
from sim.ztf.camera import CHANNELS
from sim.ztf.detection import Detections, detect, forced_photometry
from sim.ztf.fields import FORCED, PREVIOUS
from sim.ztf.frame import Frame
from sim.ztf.neighbours import Columns, neighbours
from sim.ztf.packet import PastEntries
from sim.ztf.population import lasting
from sim.ztf.schedule import Exposure, exposures_before
from sim.ztf.schema import Version

HISTORY_DAYS = 30.0
"""ZTF sends thirty days of history with each alert."""


@dataclass(frozen=True, slots=True)
class _Epoch:
    """A past exposure, encoded: entries by channel and by object."""

    jd: float
    upper_limits: list[bytes]
    entries: list[bytes]
    forced: list[bytes]


class FieldHistory:
    """The lasting objects of one field and their measurements."""

    def __init__(
        self,
        seed: int,
        field: Field,
        *,
        alerts_per_visit: int,
        first_night: int,
        version: Version,
        strange_percent: float = 0.0,
    ) -> None:
        self._seed = seed
        self._field = field
        self._alerts_per_visit = alerts_per_visit
        self._first_night = first_night
        self._version: Version = version
        self._strange_percent = strange_percent
        self._epochs: deque[_Epoch] = deque()
        self._counted_to_jd = 0.0
        # These stay when the rest is dropped. Variable stars and active galaxies were known
        # before the simulation begins.
        known = ~self.population.is_kind(*NEW)
        self.detected_count: Ints = np.where(known, 40 + self.population.serial % 200, 0)
        self.covered_count = 300 + field.number % 400
        self.first_detected_jd: Floats = np.where(
            known, 2_458_200.0 + self.population.serial % 500, np.inf
        )

    @cached_property
    def population(self) -> Population:
        """The field's lasting objects."""
        return lasting(
            self._seed,
            self._field,
            self._alerts_per_visit,
            self._first_night,
            self._strange_percent,
        )

    @cached_property
    def neighbours(self) -> Columns:
        """Columns of the catalogue sources near the objects."""
        rng = np.random.default_rng((self._seed, 7, self._field.number))
        return neighbours(rng, self.population)

    def forget(self) -> None:
        """Drop what can be computed again."""
        self._epochs.clear()
        self.__dict__.pop("population", None)
        self.__dict__.pop("neighbours", None)

    def catch_up(self, exposure: Exposure) -> None:
        """Add all earlier exposures of the field in the last thirty days."""
        while self._epochs and self._epochs[0].jd < exposure.jd - HISTORY_DAYS:
            self._epochs.popleft()
        newest_jd = self._epochs[-1].jd if self._epochs else 0.0
        for earlier in exposures_before(self._seed, exposure, HISTORY_DAYS):
            if earlier.jd > newest_jd:
                self.observe(Frame.of(self._seed, earlier))

    def observe(self, frame: Frame) -> Detections:
        """Detect the lasting objects, and add this exposure to the history."""
        exposure = frame.exposure
        rng = np.random.default_rng((self._seed, 5, exposure.night, exposure.number))
        detections = detect(rng, frame, self.population)
        upper_limits = self._encode_upper_limits(frame)
        entries = [upper_limits[channel] for channel in self.population.places.channel.tolist()]
        rows = self._encode_detections(frame, detections)
        for index, row in zip(detections.object_indexes.tolist(), rows, strict=True):
            entries[index] = row
        forced = []
        if self._has_forced_photometry:
            columns = forced_photometry(rng, frame, self.population)
            forced = encode_rows(
                FORCED, columns, rows=len(self.population), null_first=self._null_first
            )
        self._epochs.append(_Epoch(exposure.jd, upper_limits, entries, forced))
        if exposure.jd > self._counted_to_jd:
            self._counted_to_jd = exposure.jd
            self.covered_count += 1
            self.detected_count[detections.object_indexes] += 1
            first_jd = self.first_detected_jd
            first_jd[detections.object_indexes] = np.minimum(
                first_jd[detections.object_indexes], exposure.jd
            )
        return detections

    def before(self, detections: Detections) -> list[PastEntries]:
        """Return the history of each detected object, without the newest exposure."""
        past = list(self._epochs)[:-1]
        forced_count = len(past) if self._has_forced_photometry else 0
        return [
            PastEntries(
                b"".join([epoch.entries[index] for epoch in past]),
                len(past),
                b"".join([epoch.forced[index] for epoch in past]) if forced_count else b"",
                forced_count,
            )
            for index in detections.object_indexes.tolist()
        ]

    def upper_limits_before(self, channels: Ints) -> list[PastEntries]:
        """Return the history of objects seen for the first time: upper limits of their channels."""
        past = list(self._epochs)[:-1]
        by_channel = [
            PastEntries(b"".join([e.upper_limits[channel] for e in past]), len(past), b"", 0)
            for channel in range(CHANNELS)
        ]
        return [by_channel[channel] for channel in channels.tolist()]

    @property
    def _has_forced_photometry(self) -> bool:
        return self._version != "3.3"

    @property
    def _null_first(self) -> bool:
        return self._version != "3.3"

    def _encode_upper_limits(self, frame: Frame) -> list[bytes]:
        columns = frame.columns(np.arange(CHANNELS), archived=True)
        return encode_rows(PREVIOUS, columns, rows=CHANNELS, null_first=self._null_first)

    def _encode_detections(self, frame: Frame, detections: Detections) -> list[bytes]:
        # An archived detection names the file as it is in the archive.
        names = frame.archived_file_name[detections.channel]
        columns = {**detections.columns, "pdiffimfilename": names}
        return encode_rows(
            PREVIOUS, columns, rows=len(detections.object_indexes), null_first=self._null_first
        )
