"""The surveys whose alerts are known, and what makes an alert one of theirs.

A schema is judged by the fields that every alert of the survey must have, not by its name: Spark
writes `topLevelRecord` over ZTF's alerts, and anybody can call a record `ztf.alert`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # the settings, which every command reads, know the surveys' names
    import pyarrow as pa

TAI_MINUS_UTC_MS: Final = 37_000
"""Since 2017. At most a second or two wrong before and, should there be another leap second,
after: that moves no night, for none is observed within an hour of the rollover."""


@dataclass(frozen=True, slots=True)
class Survey:
    """A survey.

    Attributes
    ----------
    name
        as the settings call it
    must_have
        fields of the alert and Arrow's name of their type, each with a dot between record and
        field; where the survey gave a field another name in the course of time, both with `|`
        between them
    record
        the record that describes the detection
    times
        names of its field with the time of the exposure
    unix_epoch_days
        1970-01-01T00:00 UTC in the units of that field
    ahead_of_utc_ms
        by how much its time scale is ahead of UTC
    night_begins_utc_hour
        when a new night begins
    visit
        the record's field with the number of the exposure
    numbers_per_visit
        how many values of that field one exposure has: it is divided by them
    detector
        the record's field that says where in the camera the detection was made
    """

    name: str
    must_have: Mapping[str, str]
    record: str
    times: tuple[str, ...]
    unix_epoch_days: float
    ahead_of_utc_ms: int
    night_begins_utc_hour: int
    visit: str
    numbers_per_visit: int
    detector: str

    def missing(self, schema: pa.Schema) -> list[str]:
        """What an alert of this schema lacks to be one of the survey.

        A field of another type is none: readers could not put it into one column with the others.
        """
        return [
            field
            for field, kind in self.must_have.items()
            if not any(_has(schema, name.split("."), kind) for name in field.split("|"))
        ]


ZTF = Survey(
    name="ztf",
    must_have={
        "objectId": "string",
        "candid": "int64",
        "candidate.jd": "double",
        "candidate.ra": "double",
        "candidate.dec": "double",
    },
    record="candidate",
    times=("jd",),
    # Julian date, UTC. Noon at Palomar is 20:00 UTC: no night is ever split.
    unix_epoch_days=2_440_587.5,
    ahead_of_utc_ms=0,
    night_begins_utc_hour=20,
    # The processing id of an image: the night and five digits of the day say which exposure, then
    # come two of the readout channel, and 15. In the real packets one exposure time has one of it.
    visit="pid",
    numbers_per_visit=10_000,
    detector="rcid",
)
LSST = Survey(
    name="lsst",
    must_have={
        "diaSource.diaSourceId": "int64",
        "diaSource.ra": "double",
        "diaSource.dec|diaSource.decl": "double",
        "diaSource.midpointMjdTai|diaSource.midPointTai": "double",
    },
    record="diaSource",
    times=("midpointMjdTai", "midPointTai"),
    # MJD, TAI, midpoint of the exposure. Rubin's day_obs begins at 12:00 UTC.
    unix_epoch_days=40_587.0,
    ahead_of_utc_ms=TAI_MINUS_UTC_MS,
    night_begins_utc_hour=12,
    visit="visit",
    numbers_per_visit=1,
    detector="detector",
)
SURVEYS: Final = {survey.name: survey for survey in (ZTF, LSST)}


def _has(schema: pa.Schema, path: list[str], kind: str) -> bool:
    record, *rest = path
    place = schema.get_field_index(record)
    if place < 0:
        return False
    field = schema.field(place)
    parts = {part.name: part.type for part in field.flatten()} if rest else {record: field.type}
    return str(parts.get(".".join(path))) == kind
