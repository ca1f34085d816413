"""Small archives with real Parquet files, written as the tasks of the chain write them."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any

import pyarrow as pa

import finkray.testing
from finkray.claim import Claim, ClaimResult, Gap, StagedClaim, TopicPartition
from finkray.intervals import IntervalSet
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit
from finkray.packets.batch import AlertBatch
from finkray.packets.dead_letters import DEAD_LETTER_SCHEMA
from finkray.packets.write_claim import write_claim, write_claims
from finkray.storage.contract import Storage
from tests.support.ledgers import OTHER, ZTF

NIGHT = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)


class SmallArchive:
    """An archive written by the test, claim by claim."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.ledger = Ledger.take_over(storage)
        self.attempts = 0

    def stage(self, first: int, last: int, **how: Any) -> StagedClaim:
        """Stage a claim of the batch that `batch` makes."""
        self.attempts += 1
        batch = self.batch(first, last, **how)
        return write_claim(batch, self.storage, self.ledger.staging, str(self.attempts))

    def stage_together(self, *batches: AlertBatch) -> list[StagedClaim]:
        """Stage claims that share files."""
        self.attempts += 1
        return write_claims(batches, self.storage, self.ledger.staging, str(self.attempts))

    def put_together(self, *batches: AlertBatch) -> list[StagedClaim]:
        """Stage claims that share files, commit and publish them."""
        staged = self.stage_together(*batches)
        commit(self.ledger, self.storage, staged)
        return staged

    def put_shared_and_single(self) -> None:
        """Commit three claims that share a file, two of them of one partition, and one alone."""
        self.put_together(
            self.batch(0, 4, source=OTHER),
            self.batch(10, 14, dead=[12]),
            self.batch(0, 9, gaps=[Gap("not_delivered", 3, 3)]),
        )
        self.put(15, 19)

    @staticmethod
    def batch(
        first: int,
        last: int,
        *,
        source: TopicPartition = ZTF,
        begins: datetime | None = NIGHT,
        every: timedelta = timedelta(minutes=1),
        candidate: dict[str, Any] | None = None,
        dead: Sequence[int] = (),
        gaps: Sequence[Gap] = (),
        more: dict[str, pa.Array] | None = None,
    ) -> AlertBatch:
        """Make a claim whose alert at offset n came `n - first` times `every` after `begins`.

        `more` are further columns of its alerts.
        """
        left_out = {n for gap in gaps for n in range(gap.first_offset, gap.last_offset + 1)}
        offsets = [n for n in range(first, last + 1) if n not in left_out and n not in dead]
        record = {"jd": 2461368.5} if candidate is None else candidate
        schema = json.dumps(sorted(record))
        fingerprint = sha256(schema.encode()).hexdigest()
        stamps = [None if begins is None else begins + (n - first) * every for n in offsets]
        table = pa.table(
            {
                "kafka_topic": [source.topic] * len(offsets),
                "kafka_partition": pa.array([source.partition] * len(offsets), pa.int32()),
                "kafka_offset": pa.array(offsets, pa.int64()),
                "kafka_timestamp": pa.array(stamps, pa.timestamp("ms", "UTC")),
                "schema_fingerprint": [fingerprint] * len(offsets),
                "objectId": [f"ZTF26{n:07d}" for n in offsets],
                "candidate": [record] * len(offsets),
                "prv_candidates": [[record] if n % 2 else [] for n in offsets],
                **(more or {}),
            }
        )
        letters = pa.table(
            {
                "kafka_topic": [source.topic] * len(dead),
                "kafka_partition": [source.partition] * len(dead),
                "kafka_offset": list(dead),
                "kafka_timestamp": [begins] * len(dead),
                "cluster_id": [source.cluster_id] * len(dead),
                "topic_id": [source.topic_id] * len(dead),
                "reason": ["truncated"] * len(dead),
                "detail": [""] * len(dead),
                "value": [b"?"] * len(dead),
                "size_bytes": [1] * len(dead),
                "schema_id": [None] * len(dead),
            },
            schema=DEAD_LETTER_SCHEMA,
        )
        return AlertBatch(
            claim=Claim(source, first, last),
            tables=((fingerprint, table),) if offsets else (),
            schemas={fingerprint: schema},
            schema_ids={},
            dead_letters=letters,
            gaps=tuple(gaps),
        )

    def resolve(self, before: ClaimResult, *offsets: int) -> StagedClaim:
        """Resolve dead letters of a claim: commit and publish one more file with their alerts."""
        claim, wanted = before.claim, IntervalSet.of(offsets)
        others = wanted.holes(claim.first_offset, claim.last_offset)
        gaps = [Gap("not_delivered", part.first, part.last) for part in others]
        made = self.stage(claim.first_offset, claim.last_offset, source=claim.source, gaps=gaps)
        left = before.dead_lettered - len(offsets)
        after = replace(
            before,
            files=(*before.files, *made.result.files),
            dead_letters_by_reason=(("truncated", left),) if left else (),
            resolved=(*before.resolved, *wanted),
        )
        one = StagedClaim(after, made.staged)
        commit(self.ledger, self.storage, [one], kind="resolved")
        return one

    def put(self, first: int, last: int, **how: Any) -> StagedClaim:
        """Stage a claim as `stage` does, commit and publish it."""
        staged = self.stage(first, last, **how)
        commit(self.ledger, self.storage, [staged])
        return staged


def archive_sample_alerts(storage: Storage, night: date | None = None) -> int:
    """Archive the alerts of `finkray.testing` as one claim; returns how many there are.

    `night` takes the place of their observing nights, which are months before `NIGHT`, in which
    they arrived.
    """
    alerts = finkray.testing.alerts()
    if night is not None:
        place = alerts.column_names.index("obs_night")
        nights = pa.array([night] * len(alerts), pa.date32())
        alerts = alerts.set_column(place, "obs_night", nights)
    fingerprint = alerts["schema_fingerprint"][0].as_py()
    source = TopicPartition("cluster", alerts["kafka_topic"][0].as_py(), "an-id-of-a-topic", 0)
    batch = AlertBatch(
        claim=Claim(source, 0, len(alerts) - 1),
        tables=((fingerprint, alerts),),
        schemas={fingerprint: "{}"},
        schema_ids={},
        dead_letters=DEAD_LETTER_SCHEMA.empty_table(),
        gaps=(),
    )
    ledger = Ledger.take_over(storage)
    commit(ledger, storage, [write_claim(batch, storage, ledger.staging, "1")])
    return len(alerts)
