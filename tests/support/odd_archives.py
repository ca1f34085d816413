"""Archives of alerts that readers find hard: ancient times, columns that conflict, two widths."""

import struct
from datetime import date
from pathlib import Path

from finkray.claim import Claim, TopicPartition
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit
from finkray.packets.batch import make_batch
from finkray.packets.decode import Decoder
from finkray.packets.decoder import make_decoder
from finkray.packets.message import RawMessage
from finkray.packets.table_schemas import TableSchemas
from finkray.packets.write_claim import write_claim
from finkray.settings.packets import PacketSettings
from finkray.storage.local import LocalStorage
from tests.support.avro_cases import container, long, sized

SOURCE = TopicPartition("cluster", "ztf_20261124_programid1", "an-id-of-a-topic", 0)
FIRST_MS = 1_795_482_000_000  # 2026-11-24T01:00:00Z
EPOCH = date(1970, 1, 1)


def archive_of_ancient_times(folder: Path) -> None:
    """A Kafka time of 1897, and a packet with times of its own in year 1."""
    fields = [
        {"name": "since", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "day_of", "type": {"type": "int", "logicalType": "date"}},
    ]
    schema = {"type": "record", "name": "alert", "fields": fields}
    day = (date(1, 1, 1) - EPOCH).days
    packets = [
        container(schema, long(FIRST_MS) + long(0)),
        container(schema, long(day * 86_400_000_000) + long(day)),
    ]
    messages = [RawMessage(0, -2_300_000_000_000, packets[0]), RawMessage(1, FIRST_MS, packets[1])]
    storage = LocalStorage(folder)
    ledger = Ledger.take_over(storage)
    batch = make_batch(Claim(SOURCE, 0, 1), messages, (), Decoder())
    commit(ledger, storage, [write_claim(batch, storage, ledger.staging, "test")])


def archive_of_conflicts(folder: Path) -> None:
    """Two alerts, and between them four with which no reader could open the archive as one."""

    def packet(body: bytes, *fields: tuple[str, object]) -> bytes:
        typed = [{"name": name, "type": type_} for name, type_ in [("candid", "long"), *fields]]
        return container({"type": "record", "name": "alert", "fields": typed}, body)

    def items(type_: str) -> dict[str, object]:
        fields = [{"name": "jd", "type": type_}]
        return {"type": "array", "items": {"type": "record", "name": "past", "fields": fields}}

    packets = [
        packet(long(0) + long(5) + b"\0", ("fid", "int"), ("past", items("int"))),
        packet(long(1) + sized(b"r"), ("fid", "string")),
        packet(long(2) + long(5), ("FID", "int")),
        packet(long(3) + long(1) + sized(b"x") + b"\0", ("past", items("string"))),
        packet(long(4) + long(5) + long(6), ("ra", "int"), ("RA", "int")),
        packet(
            long(5) + long(1) + long(7) + b"\0" + sized(b"x"),
            ("past", items("int")),
            ("note", "string"),
        ),
    ]
    packets_settings = PacketSettings(surveys={"": "any"})
    storage = LocalStorage(folder)
    ledger = Ledger.take_over(storage)
    for number, data in enumerate(packets):
        tables = TableSchemas(storage, packets_settings)
        decoder = make_decoder(packets_settings, 2**20, {}, tables)
        claim = Claim(SOURCE, number, number)
        batch = make_batch(claim, [RawMessage(number, FIRST_MS + number, data)], (), decoder)
        commit(ledger, storage, [write_claim(batch, storage, ledger.staging, f"test-{number}")])
    assert dict(ledger.state.dead_letters_by_reason) == {"other_columns": 4}


def archive_of_two_widths(folder: Path) -> None:
    """Two alerts; the numbers of the second are wider, also in a list of records."""

    def packet(whole: str, real: str, data: bytes) -> bytes:
        past = {"type": "record", "name": "past", "fields": [{"name": "jd", "type": real}]}
        types = {"candid": whole, "x": real, "past": {"type": "array", "items": past}}
        fields = [{"name": name, "type": type_} for name, type_ in types.items()]
        return container({"type": "record", "name": "alert", "fields": fields}, data)

    def items(value: bytes) -> bytes:
        return long(1) + value + b"\0"

    half, tenth = struct.pack("<f", 0.5), struct.pack("<d", 0.1)
    packets = [
        packet("int", "float", long(3) + half + items(half)),
        packet("long", "double", long(2**40) + tenth + items(tenth)),
    ]
    messages = [RawMessage(n, FIRST_MS + n, data) for n, data in enumerate(packets)]
    storage = LocalStorage(folder)
    ledger = Ledger.take_over(storage)
    decoder = Decoder(tables=TableSchemas(storage, PacketSettings(surveys={"": "any"})))
    batch = make_batch(Claim(SOURCE, 0, 1), messages, (), decoder)
    commit(ledger, storage, [write_claim(batch, storage, ledger.staging, "test")])
