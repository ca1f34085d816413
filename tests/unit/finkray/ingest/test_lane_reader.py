"""What a lane reader makes of messages that come together: with Kafka their order is by chance."""

import pytest
from confluent_kafka import KafkaError

from finkray.claim import Gap, TopicPartition
from finkray.ingest.intake import CutClaim, CutLimits
from finkray.ingest.lane import PolledMessage
from finkray.ingest.lane_reader import LaneReader
from finkray.ingest.messages import Assignment
from finkray.kafka.cluster import KafkaCluster
from tests.support.prepared_consumer import (
    END,
    NOWHERE,
    TOPIC,
    PreparedConsumer,
    event,
    message,
)

SOURCE = TopicPartition("cluster", TOPIC, "id", 0)
AT_ONCE = CutLimits(claim_bytes=10**6, claim_rows=100, linger_s=0.0)
UNREADABLE = KafkaError._BAD_MSG


@pytest.mark.parametrize("end_offset", [None, 9])
@pytest.mark.parametrize("problem", [UNREADABLE, KafkaError._AUTO_OFFSET_RESET])
def test_the_end_of_a_partition_behind_what_cannot_be_read_ends_no_claim(
    problem: int, end_offset: int | None
) -> None:
    """The client goes on behind a damaged record batch, and may find the end in the same poll."""
    consumer = PreparedConsumer()
    cuts: list[CutClaim[PolledMessage]] = []
    kafka = KafkaCluster(NOWHERE, timeout_s=0.05)
    reader = LaneReader(lambda: consumer, kafka, AT_ONCE, lambda _, cut: cuts.append(cut))
    reader.start(Assignment(SOURCE, 0, 1, end_offset))
    messages = [message(0), message(1), event(problem, 2), message(7), event(END, 9)]
    consumer.messages.extend(messages)
    reader.read(100, 0.0)
    reader.cut_due()
    assert [(cut.claim.first_offset, cut.claim.last_offset) for cut in cuts] == [(0, 1)]
    no_gaps: list[Gap] = [gap for cut in cuts for gap in cut.gaps]
    assert no_gaps == []
    assert reader.unreadable or reader.troubles, "it is told, and tried again"
    reader.stop(SOURCE)
    reader.read(0, 0.0)
    kafka.close()
