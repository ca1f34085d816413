"""Archives of made alerts of ZTF with positions, histories and nights, for HATS nights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from catalogs.nights.build import NightRequest, build_night, requests
from catalogs.nights.generation import Committed
from catalogs.nights.index import NightIndex
from catalogs.nights.steps import Steps
from finkray.claim import Claim, ClaimResult, StagedClaim, TopicPartition
from finkray.intervals import IntervalSet
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit
from finkray.packets.batch import AlertBatch
from finkray.packets.dead_letters import DEAD_LETTER_SCHEMA
from finkray.packets.write_claim import write_claim
from finkray.storage.contract import Storage
from tests.support.ledgers import ZTF

NIGHT = date(2026, 11, 24)
JD = 2_461_369.7
"""In the night `NIGHT`: 2026-11-25T04:48 UTC."""

_POINT = pa.struct(
    [
        ("jd", pa.float64()),
        ("fid", pa.int32()),
        ("pid", pa.int64()),
        ("diffmaglim", pa.float32()),
        ("candid", pa.int64()),
        ("isdiffpos", pa.string()),
        ("magpsf", pa.float32()),
        ("sigmapsf", pa.float32()),
        ("ra", pa.float64()),
        ("dec", pa.float64()),
    ]
)
_FINGERPRINT = "ab" * 32


def measurement(candid: int | None, ra: float, dec: float, **more: Any) -> dict[str, Any]:
    """Return the record of a detection; of a limit without `candid`."""
    point = {
        "jd": JD,
        "fid": 1,
        "pid": candid,
        "diffmaglim": 20.5,
        "candid": candid,
        "isdiffpos": None if candid is None else "t",
        "magpsf": None if candid is None else 18.0,
        "sigmapsf": None if candid is None else 0.1,
        "ra": ra,
        "dec": dec,
    }
    return point | more


@dataclass(frozen=True)
class Made:
    """An alert: its object, its detection, its history, and its night."""

    object_id: str | None
    candidate: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]] = ()
    night: date | None = NIGHT


@dataclass
class NightArchive:
    """An archive written by the test, claim by claim, of one partition."""

    storage: Storage
    ledger: Ledger = field(init=False)
    next_offset: int = 0
    attempts: int = 0

    def __post_init__(self) -> None:
        self.ledger = Ledger.take_over(self.storage)

    def put(
        self,
        alerts: Sequence[Made],
        *,
        hour: datetime = datetime(2026, 11, 25, 5, tzinfo=UTC),
        dead: int = 0,
    ) -> StagedClaim:
        """Archive alerts as one claim that arrived in an hour, and then so many dead letters."""
        first = self.next_offset
        self.next_offset += len(alerts) + dead
        staged = self.stage(first, alerts, hour, dead=dead)
        commit(self.ledger, self.storage, [staged])
        return staged

    def stage(
        self,
        first: int,
        alerts: Sequence[Made],
        hour: datetime = datetime(2026, 11, 25, 5, tzinfo=UTC),
        *,
        dead: int = 0,
        source: TopicPartition = ZTF,
    ) -> StagedClaim:
        """Stage a claim of alerts that begins at an offset."""
        count = len(alerts)
        stamps = [hour + timedelta(milliseconds=n) for n in range(count)]
        table = pa.table(
            {
                "kafka_topic": [source.topic] * count,
                "kafka_partition": pa.array([source.partition] * count, pa.int32()),
                "kafka_offset": pa.array(range(first, first + count), pa.int64()),
                "kafka_timestamp": pa.array(stamps, pa.timestamp("ms", "UTC")),
                "obs_night": pa.array([alert.night for alert in alerts], pa.date32()),
                "schema_fingerprint": [_FINGERPRINT] * count,
                "objectId": pa.array([alert.object_id for alert in alerts], pa.string()),
                "candid": pa.array([alert.candidate["candid"] for alert in alerts], pa.int64()),
                "candidate": pa.array([dict(alert.candidate) for alert in alerts], _POINT),
                "prv_candidates": pa.array(
                    [[dict(point) for point in alert.history] or None for alert in alerts],
                    pa.list_(pa.field("element", _POINT)),
                ),
            }
        )
        letters = pa.Table.from_pylist(
            [
                {
                    "kafka_topic": source.topic,
                    "kafka_partition": source.partition,
                    "kafka_offset": first + count + n,
                    "cluster_id": source.cluster_id,
                    "topic_id": source.topic_id,
                    "reason": "truncated",
                    "detail": "",
                    "value": b"?",
                    "size_bytes": 1,
                }
                for n in range(dead)
            ],
            schema=DEAD_LETTER_SCHEMA,
        )
        self.attempts += 1
        batch = AlertBatch(
            claim=Claim(source, first, first + count + dead - 1),
            tables=((_FINGERPRINT, table),) if count else (),
            schemas={_FINGERPRINT: "{}"} if count else {},
            schema_ids={},
            dead_letters=letters,
            gaps=(),
        )
        return write_claim(batch, self.storage, self.ledger.staging, str(self.attempts))

    def resolve(self, before: ClaimResult, alerts: Sequence[Made]) -> None:
        """Archive the last dead letters of a claim as these alerts, as a redrive does."""
        first = before.claim.last_offset - len(alerts) + 1
        made = self.stage(first, alerts)
        after = replace(
            before,
            files=(*before.files, *made.result.files),
            dead_letters_by_reason=(),
            resolved=tuple(IntervalSet.of(range(first, first + len(alerts)))),
        )
        commit(self.ledger, self.storage, [StagedClaim(after, made.staged)], kind="resolved")


def random_sky(count: int, seed: int = 7) -> list[Made]:
    """Return alerts of half as many objects over the whole sky, with 0 to 4 earlier points."""
    rng = np.random.default_rng(seed)
    alerts = []
    for number in range(count // 2):
        ra = float(rng.uniform(0, 360))
        dec = float(np.degrees(np.arcsin(rng.uniform(-1, 1))))
        alerts += [near(number, 2 * number + visit, ra, dec, rng) for visit in (0, 1)]
    return alerts


def near(number: int, candid: int, ra: float, dec: float, rng: np.random.Generator) -> Made:
    """Return an alert of an object within an arcsecond of a position."""
    scatter = rng.normal(0, 0.3 / 3600, 2)
    ra = float((ra + scatter[0] / max(0.01, np.cos(np.radians(dec)))) % 360)
    dec = float(np.clip(dec + scatter[1], -90, 90))
    jd = JD + (candid % 2) * 0.02
    history = [
        measurement(None if n % 2 else 10_000_000 + 10 * number + n, ra, dec, jd=JD - 1 - n)
        | ({"pid": 20_000_000 + 10 * number + n} if n % 2 else {})
        for n in range(number % 5)
    ]
    made = measurement(candid, ra, dec, jd=jd, fid=1 + candid % 2)
    return Made(f"ZTF26{number:07d}", made, history)


def requested(storage: Storage, night: date = NIGHT, **how: Any) -> NightRequest:
    """Return what there is to build of a night of ZTF."""
    index = NightIndex(storage)
    index.update(Steps())
    (request,) = requests(index, night, "ztf")
    return replace(request, **how)


def build(storage: Storage, night: date = NIGHT, **how: Any) -> Committed:
    """Build a night of ZTF."""
    return build_night(storage, requested(storage, night, **how), Steps())
