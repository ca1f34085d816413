"""Simulated packets through finkray's own decoder."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finkray.claim import TopicPartition
from finkray.packets.decode import Decoded
from finkray.packets.decoder import make_decoder
from finkray.packets.message import RawMessage
from finkray.settings.packets import PacketSettings
from sim.lsst.schema import write_schemas

MAX_MESSAGE_BYTES = 8 * 1024 * 1024


def decode_all(packets: Sequence[bytes | None], survey: str) -> Decoded:
    """Decode all packets, as if they came on a topic of that survey."""
    with tempfile.TemporaryDirectory() as folder:
        write_schemas(Path(folder))
        settings = PacketSettings(schema_folder=folder, surveys={"": survey})
        decoder = make_decoder(settings, MAX_MESSAGE_BYTES, {})
        messages = [RawMessage(offset, 0, packet) for offset, packet in enumerate(packets)]
        return decoder.decode(messages, TopicPartition("cluster", "topic", "id", 0))


def decoded(packets: Sequence[bytes], survey: str) -> list[dict[str, Any]]:
    """Return the records in the order of the packets, none of which may be refused."""
    found = decode_all(packets, survey)
    assert found.rejects == ()
    rows: dict[int, dict[str, Any]] = {}
    for table in found.tables:
        rows |= dict(zip(table.rows.tolist(), table.table.to_pylist(), strict=True))
    return [rows[index] for index in range(len(packets))]
