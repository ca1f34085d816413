"""A consumer without a broker, for what comes from Kafka in an order that is by chance there."""

from collections import deque
from collections.abc import Iterable

from confluent_kafka import KafkaError, Message, TopicPartition

from finkray.kafka.consumer import AssignedConsumer

NOWHERE = {"bootstrap.servers": "127.0.0.1:9", "log_level": 0}

TOPIC = "stars"

END = KafkaError._PARTITION_EOF


class PreparedConsumer(AssignedConsumer):
    """A consumer that returns what was put into it, all at once or one by one."""

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        super().__init__({**NOWHERE, "group.id": "finkray"})
        self.messages = deque(messages)

    def consume(self, *_: object) -> list[Message]:
        messages = list(self.messages)
        self.messages.clear()
        return messages

    def poll(self, _: float = 0) -> Message | None:
        return self.messages.popleft() if self.messages else None

    def get_watermark_offsets(self, _: TopicPartition, **__: object) -> tuple[int, int]:
        return 0, len(self.messages)


def message(offset: int, key: bytes | None = None, value: bytes = b"x") -> Message:
    return Message(
        topic=TOPIC, partition=0, offset=offset, key=key, value=value, timestamp=(1, 1000)
    )


def event(code: int, offset: int) -> Message:
    return Message(topic=TOPIC, partition=0, offset=offset, error=KafkaError(code))
