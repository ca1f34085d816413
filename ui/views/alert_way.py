"""The alerts of an object, and the way of one: exposure, Kafka, archive, results. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from finkray.text import count_text, duration_text, time_text
from ui.kit.elements import Cell, Column, Table
from ui.views.curve_svg import utc_text

ALERTS_SHOWN: Final = 100

_UNKNOWN: Final = "unknown"


def way_table(alert: Mapping[str, Any]) -> Table:
    """Return a row for each stage of an alert, with its time and how long after Kafka it was.

    Parameters
    ----------
    alert
        A row of `ui.lookups.records.ObjectRecord.alerts`.
    """
    arrived = alert["kafka_timestamp"]
    kafka = f"{alert['kafka_topic']}[{alert['kafka_partition']}] at {alert['kafka_offset']}"
    rows = [
        _stage("exposure", _exposure(alert), None, None),
        _stage(f"in Kafka, {kafka}", _time(arrived), None, None),
        _stage("durable in the archive", _time(alert["durable_at"]), alert["durable_at"], arrived),
    ]
    rows += [
        _stage(
            f"result of {each['results']}", _time(each["durable_at"]), each["durable_at"], arrived
        )
        for each in sorted(alert["results_durable_at"], key=lambda each: each["durable_at"])
    ]
    return Table(
        f"the way of alert {alert['alert_id']}",
        (
            Column("stage", prose=True),
            Column("time"),
            Column("after Kafka", number=True),
        ),
        tuple(rows),
        "",
        "durable: when the ledger got the claim with it; a result as well",
    )


def alerts_table(alerts: pa.Table, href: Callable[[Mapping[str, Any]], str]) -> Table:
    """Return the newest alerts of an object as a table.

    Parameters
    ----------
    alerts
        As in `ui.lookups.records.ObjectRecord`.
    href
        Returns the address that shows an alert.
    """
    rows = tuple(
        (
            Cell(str(alert["alert_id"]), href=href(alert)),
            Cell("" if alert["mjd_tai"] is None else f"{alert['mjd_tai']:.5f}"),
            Cell(_exposure(alert)),
            Cell(alert["band"] or ""),
            Cell("" if alert["mag"] is None else f"{alert['mag']:.3f}"),
            Cell("" if alert["mag_err"] is None else f"{alert['mag_err']:.3f}"),
            Cell(_time(alert["kafka_timestamp"])),
            Cell(_time(alert["durable_at"])),
            Cell(alert["kafka_topic"]),
            Cell(str(alert["kafka_partition"])),
            Cell(str(alert["kafka_offset"])),
        )
        for alert in alerts.slice(0, ALERTS_SHOWN).to_pylist()
    )
    return Table(
        f"alerts, the newest first ({min(ALERTS_SHOWN, alerts.num_rows)} of "
        f"{count_text(alerts.num_rows)})",
        (
            Column("alert"),
            Column("MJD (TAI)", number=True, detail=True),
            Column("exposure"),
            Column("band"),
            Column("mag", number=True),
            Column("±", number=True, detail=True),
            Column("arrived in Kafka"),
            Column("durable"),
            Column("topic"),
            Column("partition", number=True),
            Column("offset", number=True),
        ),
        rows,
        "no alert of its own",
        "choose an alert to see its images, its way and its packet",
    )


def _stage(
    name: str, shown: str, at: datetime | None, arrived: datetime | None
) -> tuple[Cell, ...]:
    after = duration_text((at - arrived).total_seconds()) if at and arrived else ""
    return Cell(name), Cell(shown), Cell(after)


def _exposure(alert: Mapping[str, Any]) -> str:
    return _UNKNOWN if alert["mjd_tai"] is None else utc_text(alert["mjd_tai"])


def _time(at: datetime | None) -> str:
    return _UNKNOWN if at is None else time_text(at)
