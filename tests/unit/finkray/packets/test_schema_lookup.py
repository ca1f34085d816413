"""Schemas are looked up by their ids once and cached, without a flood of requests."""

import gc
import json
import weakref
from pathlib import Path
from typing import Any

import pytest

from finkray.avro.container import PacketRefused
from finkray.avro.schema import WriterSchema
from finkray.claim import Claim
from finkray.errors import SchemaUnavailable, SettingsError
from finkray.packets.batch import make_batch
from finkray.packets.decoder import make_decoder
from finkray.packets.schema_lookup import MAX_UNKNOWN, SchemaLookup
from finkray.packets.schema_registry import SchemaRegistry
from finkray.packets.write_claim import write_claim
from finkray.settings.packets import PacketSettings
from finkray.storage.local import LocalStorage
from finkray.storage.schema_ids import read_schema_ids
from tests.support.avro_cases import SOURCE, long, messages
from tests.support.registry import Registry

SCHEMA = json.dumps(
    {"type": "record", "name": "one", "fields": [{"name": "candid", "type": "long"}]}
)


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Source:
    """A source that knows the schemas given to it; `silent` makes it unavailable."""

    def __init__(self, **schemas: str) -> None:
        self.schemas = schemas
        self.silent = False
        self.asked: list[int] = []

    def __str__(self) -> str:
        return "the source"

    def find(self, schema_id: int) -> str | None:
        self.asked.append(schema_id)
        if self.silent:
            raise SchemaUnavailable("the source is silent")
        return self.schemas.get(f"s{schema_id}")


def refusal(lookup: SchemaLookup, schema_id: int) -> PacketRefused:
    with pytest.raises(PacketRefused) as caught:
        lookup.text("cluster", schema_id)
    return caught.value


def test_a_schema_is_looked_up_once() -> None:
    first, second = Source(), Source(s7=SCHEMA)
    lookup = SchemaLookup([first, second])
    assert [lookup.text("cluster", 7) for _ in range(3)] == [SCHEMA] * 3
    assert (first.asked, second.asked) == ([7], [7])


def test_a_known_schema_is_not_looked_up_and_belongs_to_its_cluster() -> None:
    source = Source(s7=SCHEMA)
    lookup = SchemaLookup([source], {("cluster", 7): "known"})
    assert lookup.text("cluster", 7) == "known"
    assert source.asked == []
    assert lookup.text("another", 7) == SCHEMA


def test_an_unknown_schema_is_looked_up_again_after_a_pause() -> None:
    source, clock = Source(), Clock()
    lookup = SchemaLookup([source], retry_s=60, clock=clock)
    assert refusal(lookup, 7).reason == "unknown_schema"
    source.schemas["s7"] = SCHEMA
    clock.now_s += 59
    assert refusal(lookup, 7).detail == "Schema 7 is not known to the source."
    clock.now_s += 1
    assert lookup.text("cluster", 7) == SCHEMA
    assert source.asked == [7, 7]


class Packet:
    """Stands for the messages that a caller has while a schema is looked up."""


def test_packets_of_an_unknown_schema_do_not_stay_in_memory() -> None:
    lookup = SchemaLookup()
    alive: weakref.WeakSet[Any] = weakref.WeakSet()

    def decode() -> None:
        packet = Packet()
        alive.add(packet)
        with pytest.raises(PacketRefused):
            lookup.text("cluster", 7)

    for _ in range(10):
        decode()
    gc.collect()
    assert not alive


def test_a_source_that_does_not_answer_is_not_asked_for_a_while() -> None:
    silent, clock = Source(s8=SCHEMA), Clock()
    silent.silent = True
    lookup = SchemaLookup([silent, Source(s9=SCHEMA)], retry_s=60, clock=clock)
    assert refusal(lookup, 7).reason == "schema_unavailable"
    assert refusal(lookup, 8).detail == "Schema 8 cannot be looked up: the source is silent."
    assert lookup.text("cluster", 9) == SCHEMA
    assert silent.asked == [7]
    silent.silent = False
    clock.now_s += 60
    assert lookup.text("cluster", 8) == SCHEMA


def test_random_ids_do_not_flood_the_sources() -> None:
    source, clock = Source(s5=SCHEMA), Clock()
    lookup = SchemaLookup([source], retry_s=60, clock=clock)
    for schema_id in range(1000, 3000):
        assert refusal(lookup, schema_id).reason == "unknown_schema"
    assert len(source.asked) == MAX_UNKNOWN
    clock.now_s += 60
    assert lookup.text("cluster", 5) == SCHEMA


def test_without_a_source_the_error_names_the_settings() -> None:
    assert "packets.schema_folder" in refusal(SchemaLookup(), 7).detail


def fast(registry: Registry, **config: str) -> SchemaRegistry:
    return SchemaRegistry({"url": registry.url, "max.retries": 0, **config})


def test_a_registry_returns_a_schema_with_the_types_it_refers_to(registry: Registry) -> None:
    inner = {"type": "record", "name": "n.inner", "fields": [{"name": "x", "type": "int"}]}
    middle = {"type": "record", "name": "n.mid", "fields": [{"name": "i", "type": "n.inner"}]}
    outer = {"type": "record", "name": "n.outer", "fields": [{"name": "m", "type": "n.mid"}]}
    registry.subjects["inner", 2] = {"schema": json.dumps(inner)}
    registry.subjects["middle", 1] = {
        "schema": json.dumps(middle),
        "references": [{"name": "n.inner", "subject": "inner", "version": 2}],
    }
    registry.schemas[1000] = {
        "schema": json.dumps(outer),
        "references": [{"name": "n.mid", "subject": "middle", "version": 1}],
    }
    text = fast(registry).find(1000)
    assert text is not None
    assert "x" in str(WriterSchema.from_text(text).arrow)
    assert fast(registry).find(1001) is None


def test_a_registry_that_is_broken_or_asks_for_a_login(registry: Registry) -> None:
    registry.schemas[1] = {"schema": SCHEMA}
    registry.broken = True
    with pytest.raises(SchemaUnavailable, match="resting"):
        fast(registry).find(1)
    registry.broken = False
    registry.login = ("name", "xyzzy")
    with pytest.raises(SchemaUnavailable, match="Unauthorized"):
        fast(registry).find(1)
    packets = PacketSettings(
        registry_url=registry.url, registry_username="name", registry_password="xyzzy"
    )
    assert SchemaRegistry(packets.registry_config()).find(1) == SCHEMA
    assert "xyzzy" not in repr(packets)


def test_a_registry_that_is_not_reachable() -> None:
    with pytest.raises(SchemaUnavailable, match=r"the registry http://127\.0\.0\.1:9 does not"):
        SchemaRegistry({"url": "http://127.0.0.1:9", "max.retries": 0}).find(1)


def test_an_option_that_the_registrys_client_rejects(registry: Registry) -> None:
    with pytest.raises(SettingsError, match=r"packets\.registry_options: .*colour"):
        fast(registry, colour="red")


def test_a_schema_that_was_looked_up_is_kept_in_the_archive(
    registry: Registry, tmp_path: Path
) -> None:
    registry.schemas[1000] = {"schema": SCHEMA}
    packets = PacketSettings(registry_url=registry.url)
    framed = b"\0" + (1000).to_bytes(4, "big") + long(7)
    storage = LocalStorage(tmp_path)
    claim = Claim(SOURCE, 0, 1)

    first = make_decoder(packets, 10_000, read_schema_ids(storage))
    batch = make_batch(claim, messages([framed, framed]), (), first)
    write_claim(batch, LocalStorage(tmp_path), "staging/1", "a")
    assert registry.requested == ["/schemas/ids/1000"]

    registry.schemas.clear()
    again = make_decoder(packets, 10_000, read_schema_ids(storage))
    decoded = again.decode(messages([framed]), SOURCE)
    assert decoded.rejects == ()
    assert decoded.schema_ids == batch.schema_ids
    assert len(registry.requested) == 1
