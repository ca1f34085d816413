"""A reader that follows a topic ends when the topic is gone."""

import pytest

from finkray.errors import FinkrayError
from finkray.streamout import consuming
from finkray.streamout.consuming import TopicReader
from sim.broker.kafka import Kafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


@pytest.mark.parametrize(("anew", "told"), [(False, "was deleted"), (True, "was created anew")])
def test_a_reader_that_follows_a_topic_is_told_that_it_is_gone(
    kafka: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch, *, anew: bool, told: str
) -> None:
    monkeypatch.setattr(consuming, "_QUIET_S", 0.5)
    kafka.create_topic(topic)
    reader = TopicReader({"bootstrap.servers": kafka.bootstrap_servers}, topic, "default", {})
    looks = 0

    def go_on(_at_end: bool) -> bool:
        nonlocal looks
        looks += 1
        if looks == 2:
            kafka.delete_topic(topic)
            if anew:
                kafka.create_topic(topic)
        return True

    with pytest.raises(FinkrayError, match=f"{topic} {told}"):
        list(reader.batches(go_on))
    assert looks >= 2
