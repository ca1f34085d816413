"""The alerts of an object, and the way of one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from ui.kit.elements import Table
from ui.views.alert_way import alerts_table, way_table

ARRIVED = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


def alert(**changes: Any) -> dict[str, Any]:
    return {
        "alert_id": 17,
        "mjd_tai": 61_368.25,
        "band": "g",
        "mag": 18.5,
        "mag_err": None,
        "kafka_topic": "ztf",
        "kafka_partition": 3,
        "kafka_offset": 1204,
        "kafka_timestamp": ARRIVED,
        "durable_at": ARRIVED + timedelta(seconds=1.5),
        "results_durable_at": [
            {"results": "outliers/1", "durable_at": ARRIVED + timedelta(seconds=42)},
            {"results": "classify/1", "durable_at": ARRIVED + timedelta(seconds=5)},
        ],
        **changes,
    }


def texts(table: Table) -> list[tuple[str, ...]]:
    return [tuple(cell.text for cell in row) for row in table.rows]


def test_the_way_has_each_stage_in_its_order() -> None:
    assert texts(way_table(alert())) == [
        ("exposure", "2026-11-24 05:59:23 UTC", ""),
        ("in Kafka, ztf[3] at 1204", "2026-11-24 06:00:00 UTC", ""),
        ("durable in the archive", "2026-11-24 06:00:01 UTC", "1.5 s"),
        ("result of classify/1", "2026-11-24 06:00:05 UTC", "5.0 s"),
        ("result of outliers/1", "2026-11-24 06:00:42 UTC", "42 s"),
    ]


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    unknown = alert(mjd_tai=None, kafka_timestamp=None, durable_at=None, results_durable_at=[])
    assert [row[1:] for row in texts(way_table(unknown))] == [("unknown", "")] * 3
    (row,) = alerts_table(pa.Table.from_pylist([unknown]), lambda _: "").rows
    assert [cell.text for cell in row].count("unknown") == 3


def test_each_alert_of_the_list_leads_to_its_own() -> None:
    table = alerts_table(pa.Table.from_pylist([alert()]), lambda each: f"x{each['kafka_offset']}")
    assert table.rows[0][0].href == "x1204"
    assert table.title == "alerts, the newest first (1 of 1)"
