"""Describe a decoded claim to the driver."""

import time

import numpy as np

from finkray.ingest.decode_queue import DecodedBatch
from finkray.ingest.messages import ReadyClaim
from finkray.ingest.visits import count_visits
from finkray.packets.dead_letters import schema_ids_waited_for
from finkray.packets.divide import write_cost
from finkray.timestamps import kafka_seconds


def ready_claim(decoded: DecodedBatch, held_bytes: int) -> ReadyClaim:
    """Return what the driver needs to know of a claim that was decoded just now."""
    assignment, batch, messages = decoded
    raws = [polled.raw for polled in messages]
    return ReadyClaim(
        claim=batch.claim,
        generation=assignment.generation,
        held_bytes=held_bytes,
        raw_bytes=sum(len(raw.value or b"") for raw in raws),
        kafka_s=kafka_seconds([raw.timestamp_ms for raw in raws]),
        polled_s=np.array([polled.polled_s for polled in messages]),
        decoded_s=time.time(),
        lane=assignment.lane,
        visits=count_visits(table for _, table in batch.tables),
        unknown_schemas=schema_ids_waited_for(batch.dead_letters),
        write_cost=write_cost(batch),
    )
