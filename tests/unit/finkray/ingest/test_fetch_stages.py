"""Fetches are small until what they unpack to is known to be little."""

from finkray.ingest.consumers import fetched_and_unpacked
from finkray.ingest.fetch_stages import (
    BOUNDED_S,
    LITTLE,
    MUCH_SEEN_BYTES,
    SEEN_BYTES,
    SMALL_S,
    UNREAD_S,
    FetchStages,
)


def test_fetches_become_full_when_a_stream_unpacks_to_little() -> None:
    stages = FetchStages()
    assert stages.stage == "small"
    stages.fetched(SEEN_BYTES - 1, SEEN_BYTES)
    assert not stages.advance(1.0)
    stages.fetched(1, int(LITTLE))
    assert stages.advance(2.0)
    assert stages.stage == "full"
    assert not stages.advance(3.0)


def test_fetches_become_small_for_a_while_when_they_unpack_to_much() -> None:
    stages = FetchStages()
    stages.fetched(SEEN_BYTES, SEEN_BYTES)
    assert stages.advance(1.0)
    stages.fetched(MUCH_SEEN_BYTES, int(1000 * MUCH_SEEN_BYTES))
    assert stages.advance(2.0)
    assert stages.stage == "small"
    stages.fetched(SEEN_BYTES, SEEN_BYTES)
    assert not stages.advance(2.0 + SMALL_S - 1)
    stages.fetched(SEEN_BYTES, SEEN_BYTES)
    assert stages.advance(2.0 + SMALL_S)
    assert stages.stage == "full"


def test_what_was_seen_long_ago_does_not_hide_what_is_seen_now() -> None:
    stages = FetchStages()
    stages.fetched(SEEN_BYTES, SEEN_BYTES)
    stages.advance(1.0)
    for second in range(100):
        stages.fetched(100 * SEEN_BYTES, 100 * SEEN_BYTES)
        assert not stages.advance(2.0 + second)
    stages.fetched(MUCH_SEEN_BYTES, int(10 * LITTLE * MUCH_SEEN_BYTES))
    assert stages.advance(200.0)
    assert stages.stage == "small"


def test_a_quiet_stream_changes_nothing() -> None:
    """Answers without a message come from Kafka too."""
    stages = FetchStages()
    for second in range(10_000):
        stages.fetched(100, 0)
        changed = stages.advance(float(second))
        assert changed == (stages.stage == "full" and second == SEEN_BYTES // 100)


def test_a_restarted_actor_reads_bounded_until_no_batch_ended_its_process_for_a_while() -> None:
    stages = FetchStages(bounded_until_s=BOUNDED_S)
    assert stages.stage == "bounded"
    assert not stages.advance(BOUNDED_S - 1)
    stages.batch_ended_process(BOUNDED_S - 1)
    assert not stages.advance(2 * BOUNDED_S - 2)
    assert stages.advance(2 * BOUNDED_S - 1)
    assert stages.stage == "small"


def test_a_restarted_actor_reads_bounded_until_each_partition_answered_but_not_for_ever() -> None:
    stages = FetchStages(bounded_until_s=BOUNDED_S)
    assert not stages.advance(BOUNDED_S + UNREAD_S - 1, all_read=False)
    assert stages.advance(BOUNDED_S + UNREAD_S - 1, all_read=True)
    without_a_leader = FetchStages(bounded_until_s=BOUNDED_S)
    assert without_a_leader.advance(BOUNDED_S + UNREAD_S, all_read=False)
    assert without_a_leader.stage == "small"


def test_the_statistics_of_a_client_are_summed_over_brokers_and_partitions() -> None:
    statistics = {
        "brokers": {"a:1": {"rxbytes": 10}, "b:1": {"rxbytes": 5}},
        "topics": {
            "s": {"partitions": {"0": {"rxbytes": 7}, "-1": {"rxbytes": 0}}},
            "t": {"partitions": {"0": {"rxbytes": 100}}},
        },
    }
    assert fetched_and_unpacked(statistics) == (15, 107)
