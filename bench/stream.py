"""An archive that runs, and bursts of alerts for it, for what is measured beside it."""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

from bench.chains.archive import settings_for
from bench.durable import last_commit_unix_s
from bench.running import RunningArchive, running_archive
from bench.topics import Feed, send
from sim.broker.kafka import Kafka
from sim.player.pace import Pace
from sim.player.play import play
from sim.player.sources import Packet


class Stream:
    """An archive that reads a topic of its own, and the number of alerts sent into it.

    Parameters
    ----------
    kafka
        Where the topic is.
    feed
        The alerts, which are sent again and again.
    archive
        The archive.
    topic
        Its topic.
    options
        Of the command: partitions of the topic, and the time limit of a wait.
    """

    def __init__(
        self,
        kafka: Kafka,
        feed: Feed,
        archive: RunningArchive,
        topic: str,
        options: argparse.Namespace,
    ) -> None:
        self._kafka, self._feed, self._topic, self._options = kafka, feed, topic, options
        self.archive = archive
        self.timeout_s = float(options.timeout)
        self.sent = 0

    def send(self, alerts: int) -> None:
        """Send alerts as fast as Kafka takes them."""
        send(self._kafka, self._topic, self._feed, alerts, self._options.partitions)
        self.sent += alerts

    def play(self, rate_per_s: float, seconds: float) -> None:
        """Send alerts at an even rate for this time."""
        packets = (Packet(message) for message in cycle(self._feed.messages))
        servers, count = self._kafka.bootstrap_servers, round(rate_per_s * seconds)
        self.sent += play(
            packets, servers, self._topic, pace=Pace(per_s=rate_per_s), count=count
        ).alerts

    def wait_until_durable(self) -> None:
        """Wait until all sent alerts are in the archive."""
        self.archive.wait_until(
            f"{self.sent} alerts are durable",
            lambda sheet: sheet.archived >= self.sent,
            time.monotonic() + self.timeout_s,
        )

    def burst_per_s(self, alerts: int) -> float:
        """Return the alerts/s from sending the first until the last is durable."""
        begun_unix_s = time.time()
        self.send(alerts)
        self.wait_until_durable()
        return alerts / (last_commit_unix_s(self.archive.storage) - begun_unix_s)


@contextmanager
def running_stream(
    kafka: Kafka,
    feed: Feed,
    folder: Path,
    topic: str,
    options: argparse.Namespace,
    *,
    more: str = "",
) -> Iterator[Stream]:
    """Run an archive until its first alerts are durable, and yield its stream.

    `more` is TOML that its settings have as well.
    """
    kafka.create_topic(topic, partitions=options.partitions)
    schema = feed.write_schema(folder / topic)
    settings = settings_for(kafka.bootstrap_servers, topic, feed.wire, schema, options.cores)
    with running_archive(folder / f"archive-{topic}", settings + more) as archive:
        stream = Stream(kafka, feed, archive, topic, options)
        stream.send(options.partitions)
        stream.wait_until_durable()
        yield stream
