"""Archives with dead letters of several kinds, written as the tasks of the chain write them."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.dataset as ds

from finkray.claim import Claim, TopicPartition
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit, recover
from finkray.packets.batch import make_batch
from finkray.packets.message import RawMessage
from finkray.packets.write_claim import write_claim
from finkray.redrive.decoding import archive_decoder
from finkray.settings.model import Settings, load
from finkray.storage.local import LocalStorage
from tests.support.avro_cases import container, long, sized

NIGHT_MS = int(datetime(2026, 11, 24, 1, tzinfo=UTC).timestamp() * 1000)
SOURCE = TopicPartition("cluster", "alerts", "an-id-of-a-topic", 0)
KNOWN, NEW = 100, 101
"""Ids of schemas; that of `NEW` becomes known later."""

PAIR = {
    "type": "record",
    "name": "pair",
    "fields": [{"name": "candid", "type": "long"}, {"name": "objectId", "type": "string"}],
}


def record(candid: int) -> bytes:
    return long(candid) + sized(b"ZTF26abc")


def frame(schema_id: int, candid: int) -> bytes:
    return b"\0" + schema_id.to_bytes(4, "big") + record(candid)


@dataclass
class Observatory:
    """An archive, its settings, and its folder of schemas, which may grow."""

    folder: Path
    dead_letter_bytes: int = 1 << 20
    max_message_bytes: int = 1 << 20
    bootstrap_servers: str = "127.0.0.1:9"

    def __post_init__(self) -> None:
        (self.folder / "schemas").mkdir(exist_ok=True)
        self.schema_turns_up(KNOWN)

    def schema_turns_up(self, schema_id: int) -> None:
        (self.folder / "schemas" / f"{schema_id}.avsc").write_text(json.dumps(PAIR))

    @property
    def storage(self) -> LocalStorage:
        return LocalStorage(self.folder / "archive")

    @property
    def config(self) -> Path:
        path = self.folder / "finkray.toml"
        path.write_text(
            f"""[kafka]
bootstrap_servers = "{self.bootstrap_servers}"
topics = ["{SOURCE.topic}"]
max_message_bytes = {self.max_message_bytes}
[packets]
surveys = {{ "" = "any" }}
schema_folder = "{self.folder}/schemas"
dead_letter_bytes = {self.dead_letter_bytes}
[archive]
uri = "{self.folder}/archive"
"""
        )
        return path

    @property
    def settings(self) -> Settings:
        return load(self.config, {})

    def alert_offsets(self) -> Counter[int]:
        """Count each offset in the alert files, and check that it has the right alert."""
        alerts = ds.dataset(self.storage.root / "alerts", format="parquet").to_table()
        assert alerts["candid"].to_pylist() == alerts["kafka_offset"].to_pylist()
        return Counter(alerts["kafka_offset"].to_pylist())

    def archive(
        self,
        first: int,
        values: Sequence[bytes | None],
        *,
        source: TopicPartition = SOURCE,
        begins_ms: int = NIGHT_MS,
    ) -> None:
        """Archive these messages as one claim, in a run of their own."""
        settings = self.settings
        ledger = Ledger.take_over(self.storage)
        recover(ledger, self.storage)
        decoder = archive_decoder(settings, self.storage)
        messages = [
            RawMessage(first + n, begins_ms + 1000 * n, value) for n, value in enumerate(values)
        ]
        claim = Claim(source, first, first + len(values) - 1)
        batch = make_batch(claim, messages, (), decoder, int(settings.packets.dead_letter_bytes))
        commit(ledger, self.storage, [write_claim(batch, self.storage, ledger.staging, "test")])


def a_bad_night(observatory: Observatory, source: TopicPartition = SOURCE) -> None:
    """Archive two claims of twelve messages: four alerts, five without schema, three damaged."""
    cut = container(PAIR, record(7))[:-20]
    first = [frame(KNOWN, 0), frame(NEW, 1), frame(NEW, 2), frame(KNOWN, 3), cut, b"text"]
    observatory.archive(0, [*first, frame(NEW, 6)], source=source)
    rest = [frame(NEW, 7), frame(KNOWN, 8), frame(KNOWN, 9), None, frame(NEW, 11)]
    observatory.archive(7, rest, source=source, begins_ms=NIGHT_MS + 7000)
