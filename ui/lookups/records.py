"""What look-ups answer, and how images are drawn."""

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

import pyarrow as pa

from finkray.curves.periodogram import Periodogram
from finkray.json_values import json_value

LOW_PERCENT, HIGH_PERCENT = 0.5, 99.7
"""Percentiles of the pixels of an image that are drawn black and white."""

ZTF_ARCSEC_PER_PIXEL: Final = 1.01
LSST_ARCSEC_PER_PIXEL: Final = 0.2

NIGHT_BEGINS_UTC_HOUR: Final = 16
"""No telescope of the surveys observes at this hour: noon is 16 h at Rubin, 20 h at Palomar."""

MOST_CLASSES: Final = 100
"""Alerts of an object whose classes are read, the newest: each may be in a file of its own."""

MEAN_NIGHTS: Final = 7
"""The last nights whose bytes tell how long the disk will last."""


@dataclass(frozen=True, slots=True)
class GivenClass:
    """A class that a service gave an alert.

    Attributes
    ----------
    results
        Name and version of the results, as classify/1.
    name
        Of the class, which may be empty; the status of the result if there is no class.
    mjd_tai
        Exposure of the alert; None if its packet does not say.
    """

    results: str
    name: str
    mjd_tai: float | None


@dataclass(frozen=True, slots=True)
class ResultsRecord:
    """What services found for the alerts of an object.

    Attributes
    ----------
    newest
        For the newest alert: name and version, and a row.
    classes
        For the newest alerts, by results.
    problems
        What could not be read.
    """

    newest: tuple[tuple[str, dict[str, Any]], ...]
    classes: tuple[GivenClass, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """What the archive has of an object.

    Attributes
    ----------
    object_id, survey
        Which object.
    points
        Its light curve: columns of `finkray.curves.schema.POINT`.
    alerts
        Its alerts, the newest first: columns of `finkray.adapter.survey_adapter.DETECTION`; topic,
        partition, offset and timestamp of Kafka; `durable_at`, and `results_durable_at` by name
        and version of the results, see `ui.lookups.durable`.
    results
        What services found for its alerts.
    periods
        Periodogram of the band with the most points; None if no band has enough.
    problems
        What could not be read of the ledgers.
    """

    object_id: str
    survey: str
    points: pa.Table
    alerts: pa.Table
    results: ResultsRecord
    periods: Periodogram | None
    problems: tuple[str, ...] = ()


def object_json(record: ObjectRecord) -> dict[str, Any]:
    """Return an object in the types of JSON, for the API and `finkray object --json`."""
    return {
        "object_id": record.object_id,
        "survey": record.survey,
        "points": record.points.num_rows,
        "alerts": json_value(record.alerts.to_pylist()),
        "results": {name: json_value(row) for name, row in record.results.newest},
        "classes": [json_value(asdict(each)) for each in record.results.classes],
        "problems": [*record.problems, *record.results.problems],
    }


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """One alert as the archive has it.

    Attributes
    ----------
    packet
        All columns but the images.
    images
        The three images as in the packet, by name; None where it has none.
    """

    packet: dict[str, Any]
    images: dict[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Amount:
    """What came in a time: alerts by Kafka's timestamps, dead letters by when they were filed."""

    alerts: int
    size_bytes: int
    files: int
    dead_letters: int


@dataclass(frozen=True, slots=True)
class NightsRecord:
    """What the archive got.

    Attributes
    ----------
    nights
        by the UTC date on which the night began at `NIGHT_BEGINS_UTC_HOUR`, the newest first
    hours
        of the night that was chosen, by topic and hour: alerts
    free_bytes
        of the archive's disk; None if the storage has no bound that could be asked for
    bytes_a_night
        mean of the last `MEAN_NIGHTS` nights with alerts; 0 without any
    dead_letters_by_reason
        all that are not resolved
    """

    nights: tuple[tuple[date, Amount], ...]
    hours: tuple[tuple[datetime, str, int], ...]
    free_bytes: int | None
    bytes_a_night: float
    dead_letters_by_reason: tuple[tuple[str, int], ...]

    @property
    def nights_left(self) -> float | None:
        """How many nights as the last ones the disk has room for; None if that is not known."""
        if self.free_bytes is None or self.bytes_a_night <= 0:
            return None
        return self.free_bytes / self.bytes_a_night


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter; `head` are the first bytes of the message as hexadecimal digits and text."""

    topic: str
    partition: int
    offset: int
    at: datetime | None
    reason: str
    detail: str
    size_bytes: int
    head: tuple[str, ...] = ()


def night_of(at: datetime) -> date:
    """Return the UTC date on which the night of a time began."""
    return (at.astimezone(UTC) - timedelta(hours=NIGHT_BEGINS_UTC_HOUR)).date()


@dataclass(frozen=True, slots=True)
class SqlAnswer:
    """The answer to a query.

    Attributes
    ----------
    table
        its rows
    tables
        the tables that were opened for it: name, and the Python expression that opens it
    cut
        whether there are more rows, or more bytes, than an answer may have
    """

    table: pa.Table
    tables: tuple[tuple[str, str], ...]
    cut: bool


@dataclass(frozen=True, slots=True)
class SqlFile:
    """The answer to a query as the bytes of a file; `cut` as in `SqlAnswer`."""

    data: bytes
    cut: bool


SkyScope = Literal["tonight", "archive"]

SKY_SCOPES: Final[tuple[SkyScope, ...]] = ("tonight", "archive")
DEFAULT_SKY_SCOPE: Final = SKY_SCOPES[0]


@dataclass(frozen=True, slots=True)
class SkyCell:
    """A HEALPix cell (nested) with its alerts; degrees, ICRS."""

    pixel: int
    alerts: int
    ra_deg: float
    dec_deg: float
    corners: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class SkyRecord:
    """Alerts by cell of the sky.

    Attributes
    ----------
    alerts
        how many were looked at, also those without a position
    cells
        those with alerts, the fullest first
    """

    alerts: int
    cells: tuple[SkyCell, ...]
