"""The order for one measurement of a chain, as JSON, and the reports that the chain prints."""

import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Wire = Literal["container", "bare", "frame"]

FRAME_BYTES = 5
"""Length of the head of a frame: byte 0 and the id of the schema."""


@dataclass(frozen=True, slots=True)
class ChainRun:
    """One measurement of one chain.

    Attributes
    ----------
    bootstrap_servers
        The Kafka to read.
    topic
        The topic to archive.
    wire
        Encoding of its messages: "container" (with the schema in each), "bare" records, or "frame"
        (five bytes and a bare record).
    partitions
        Number of partitions of the topic.
    alerts
        Number of messages in the topic when the chain ends.
    folder
        An empty folder for everything the chain writes.
    schema_file
        The writer schema of every message (Avro, JSON).
    cores
        How many processes or task slots the chain may use.
    per_trigger
        Spark pipelines: largest number of messages in a micro-batch.
    keeps_reading
        Whether the chain reads on at the end of the topic, because more messages follow; all
        partitions get the same number.
    ingest
        finkray alone: keys of [ingest] that differ from their defaults.
    """

    bootstrap_servers: str
    topic: str
    wire: Wire
    partitions: int
    alerts: int
    folder: str
    schema_file: str
    cores: int
    per_trigger: int
    keeps_reading: bool = False
    ingest: dict[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> Path:
        """Folder of a chain's Parquet files; the archive has a layout of its own."""
        return Path(self.folder) / "parquet"

    def to_json(self) -> str:
        """Return the run as JSON, for a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_command_line(cls) -> "ChainRun":
        """Return the run in this process's only argument, which `to_json` made."""
        return cls(**json.loads(sys.argv[1]))


def report(alerts: int, at_unix_s: float | None = None) -> None:
    """Print that `alerts` in total are in Parquet files, now or at the given time."""
    line = {"at_unix_s": time.time() if at_unix_s is None else at_unix_s, "alerts": alerts}
    print(json.dumps(line), flush=True)
