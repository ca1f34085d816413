"""What look-ups answer, and how images are drawn."""

from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from finkray.curves.periodogram import Periodogram

LOW_PERCENT, HIGH_PERCENT = 0.5, 99.7
"""Percentiles of the pixels of an image that are drawn black and white."""

ZTF_ARCSEC_PER_PIXEL: Final = 1.01
LSST_ARCSEC_PER_PIXEL: Final = 0.2


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
        Its alerts, the newest first: columns of `finkray.adapter.survey_adapter.DETECTION`, and
        topic, partition, offset and timestamp of Kafka.
    results
        What services found for the newest alert: name and version, and a row.
    periods
        Periodogram of the band with the most points; None if no band has enough.
    """

    object_id: str
    survey: str
    points: pa.Table
    alerts: pa.Table
    results: tuple[tuple[str, dict[str, Any]], ...]
    periods: Periodogram | None


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
