"""Class counts, lists of alerts and service snapshots, for tests of what shows them."""

from datetime import datetime, timedelta
from typing import Any

from finkray.results.class_list import ClassifiedAlert
from finkray.results.counts import CatalogUse, ClassCounts, NightCounts
from finkray.status.service import ServiceSnapshot
from tests.support.snapshots import MIB, NIGHT

LAST, BEFORE = "2026-11-24", "2026-11-23"


def counts(at: datetime = NIGHT, **changes: Any) -> ClassCounts:
    """Return two nights of `classify`, the newest first; `changes` replace fields."""
    classes = {"Unknown": 7000, "Solar System": 1500, "RR*": 900, "not checked": 595, "<b>&": 5}
    gcvs = CatalogUse(
        catalog="gcvs",
        version="2022-06",
        alerts={"match": 905, "none": 8500, "not_checked": 595},
    )
    nights = (
        NightCounts(night=LAST, classes=classes, catalogs=(gcvs,), hours=("2026-11-24T01",)),
        NightCounts(night=BEFORE, classes={"QSO": 12}, catalogs=(), hours=("2026-11-23T01",)),
    )
    facts: dict[str, Any] = {
        "name": "classify",
        "version": "1",
        "at": at,
        "cursor": "1:9:0",
        "alerts": 10_012,
        "nights": nights,
    }
    return ClassCounts(**(facts | changes))


def alert(number: int, why: str = "RRAB in gcvs 2022-06, 0.37 arcsec away") -> ClassifiedAlert:
    return ClassifiedAlert(
        alert_id=3_200_000_000_000_000_000 + number,
        object_id=f"ZTF26{number:07d}",
        kafka_timestamp=NIGHT - timedelta(seconds=number),
        topic="ztf_20261124_programid1",
        why=why,
    )


def service(at: datetime = NIGHT, **changes: Any) -> ServiceSnapshot:
    """Return the snapshot of a healthy service; `changes` replace fields."""
    facts: dict[str, Any] = {
        "name": "classify",
        "service": "classify",
        "version": "1",
        "spec": "actors.classify:Classify",
        "state": "running",
        "started_at": at - timedelta(hours=2),
        "at": at,
        "actors": 2,
        "actors_wanted": 3,
        "waiting": 4200,
        "behind_s": 3.2,
        "alerts_per_s": 620.0,
        "alerts_per_s_a_core": 31_000.0,
        "batch_p99_s": 0.25,
        "latency_p99_s": 6.1,
        "memory_bytes": 200 * MIB,
        "by_status": {"ok": 88_000, "error": 3},
        "results": 90_000,
    }
    return ServiceSnapshot(**(facts | changes))
