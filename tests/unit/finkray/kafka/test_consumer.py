"""A consumer that closes, also when the client does not, and that no clock holds up."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from finkray.kafka.consumer import assigned_consumer
from tests.support.set_clock import SetClock


def test_a_consumer_that_never_reached_a_broker_closes() -> None:
    consumer = assigned_consumer(
        {"bootstrap.servers": "127.0.0.1:9"}, queue_bytes=2**20, max_message_bytes=2**20
    )
    consumer.close()
    with pytest.raises(RuntimeError, match="closed"):
        consumer.poll(0)


CONSUME = """
import time
from finkray.kafka.consumer import assigned_consumer
consumer = assigned_consumer(
    {"bootstrap.servers": "127.0.0.1:9", "log_level": 0}, queue_bytes=2**20, max_message_bytes=2**20
)
consumer.consume(10, 0.1)
print("waits", flush=True)
began_s = time.time()
while time.time() > began_s - 1800:
    consumer.consume(10, 0.5)
print("goes on", flush=True)
consumer.close()
"""


@pytest.mark.timeout(300)
def test_a_consumer_goes_on_when_the_clock_is_set_back(tmp_path: Path) -> None:
    """The client's own wait would end an hour later: this test would run into its limit."""
    clock = SetClock(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", CONSUME],
        env={**os.environ, **clock.environment},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "waits\n"
            time.sleep(0.2)  # else the first call may not have begun, and nothing would be tested
            clock.set_by(-3600)
            assert process.stdout.readline() == "goes on\n"
        finally:
            process.kill()
