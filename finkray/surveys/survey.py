"""Describe the supported surveys, and the fields by which their alerts are recognised.

A schema is recognised by the fields that every alert of the survey must have, not by its name:
Spark names the record of ZTF's alerts `topLevelRecord`, and any record may be named `ztf.alert`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # every command loads the settings, which import the surveys' names
    import pyarrow as pa

TAI_MINUS_UTC_MS: Final = 37_000
"""TAI - UTC since 2017. Before, and after a future leap second, it is off by a second or two. That
moves no observation to another night, because none is made within an hour of the rollover."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What finkray knows of a survey.

    Attributes
    ----------
    name
        in the settings
    must_have
        fields that every alert has, with Arrow's name of their type; a dot separates record and
        field, and `|` separates the names of a field that the survey renamed
    record
        name of the record that describes the detection
    times
        names of its field with the time of the exposure
    unix_epoch_days
        1970-01-01T00:00 UTC in the units of that field
    ahead_of_utc_ms
        how far its time scale is ahead of UTC
    night_begins_utc_hour
        the hour at which a new night starts
    visit
        the record's field with the number of the exposure
    numbers_per_visit
        how many consecutive values of that field belong to one exposure: the field is divided by it
    detector
        the record's field with the detector (ZTF: the readout channel)
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
    alert_ids: tuple[str, ...]
    object_ids: tuple[str, ...]
    topics: str
    simulated_topic: str

    def missing(self, schema: pa.Schema) -> list[str]:
        """Return the fields that an alert of this schema lacks to be one of the survey.

        A field of another type counts as missing: readers could not put it into one column with the
        others.
        """
        return [
            field
            for field, type_name in self.must_have.items()
            if not any(_has(schema, name.split("."), type_name) for name in field.split("|"))
        ]


def _has(schema: pa.Schema, path: list[str], type_name: str) -> bool:
    record, *rest = path
    index = schema.get_field_index(record)
    if index < 0:
        return False
    field = schema.field(index)
    types = {child.name: child.type for child in field.flatten()} if rest else {record: field.type}
    return str(types.get(".".join(path))) == type_name
