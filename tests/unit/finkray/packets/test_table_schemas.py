"""An archive stays readable as one: what conflicts with earlier alerts is a dead letter."""

import struct
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import finkray
from finkray.avro.schema import WriterSchema
from finkray.claim import Claim, TopicPartition
from finkray.errors import LedgerCorrupt, StorageError
from finkray.ledger.claims import archived_schemas
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit
from finkray.packets import table_schemas
from finkray.packets.batch import AlertBatch, make_batch
from finkray.packets.decoder import make_decoder
from finkray.packets.message import RawMessage
from finkray.packets.schema_folder import SchemaFolder
from finkray.packets.table_schemas import TableSchemas
from finkray.packets.write_claim import write_claim
from finkray.settings.packets import PacketSettings
from finkray.storage.local import LocalStorage
from finkray.storage.memory import MemoryStorage
from tests.support.avro_cases import container, long, sized
from tests.support.packets import real_ztf_packets

PACKETS = PacketSettings(surveys={"^ztf": "ztf", "": "any"})
NUMBER, TEXT = ("fid", "int"), ("fid", "string")
FIRST_MS = 1_795_482_000_000


def alert(field: tuple[str, Any], value: bytes, *more: tuple[str, Any]) -> bytes:
    """A packet of ZTF with one more field in `candidate`."""
    position = [("jd", "double"), ("ra", "double"), ("dec", "double"), field]
    candidate = {
        "type": "record",
        "name": "candidate",
        "fields": [{"name": name, "type": type_} for name, type_ in position],
    }
    fields = [("objectId", "string"), ("candid", "long"), ("candidate", candidate)]
    schema = {
        "type": "record",
        "name": "alert",
        "fields": [{"name": name, "type": type_} for name, type_ in [*fields, *more]],
    }
    position_bytes = struct.pack("<3d", 2461370.75, 10.0, 20.0)
    return container(schema, sized(b"ZTF18abc") + long(7) + position_bytes + value)


GOOD, ODD = alert(NUMBER, long(1)), alert(TEXT, sized(b"r"))
WIDE = alert(("fid", "long"), long(2**40))
LATER = alert(NUMBER, long(1), ("new", "null"))
CASE = alert(("FID", "int"), long(1))


class Actors:
    """Decode packets for one archive, as ingest actors do; commit what they decoded."""

    def __init__(self, storage: Any) -> None:
        self.storage = storage
        self.ledger = Ledger.take_over(storage)
        self.offsets: dict[str, int] = {}

    def actor(self) -> Any:
        return make_decoder(PACKETS, 2**23, {}, TableSchemas(self.storage, PACKETS))

    def archive(
        self, packets: Sequence[bytes], topic: str = "ztf_1", actor: Any = None
    ) -> AlertBatch:
        first = self.offsets.get(topic, 0)
        self.offsets[topic] = first + len(packets)
        source = TopicPartition("cluster", topic, f"id-of-{topic}-{'0' * 20}"[:22], 0)
        messages = [
            RawMessage(first + n, FIRST_MS + first + n, packet) for n, packet in enumerate(packets)
        ]
        claim = Claim(source, first, first + len(packets) - 1)
        batch = make_batch(claim, messages, (), actor or self.actor())
        staged = write_claim(batch, self.storage, self.ledger.staging, f"{topic}-{first}")
        commit(self.ledger, self.storage, [staged])
        return batch


def in_memory() -> MemoryStorage:
    return MemoryStorage(uuid.uuid4().hex)


def reasons(batch: AlertBatch) -> dict[int, str]:
    letters = batch.dead_letters
    return dict(
        zip(letters["kafka_offset"].to_pylist(), letters["reason"].to_pylist(), strict=True)
    )


def test_a_field_of_another_type_is_a_dead_letter_and_the_archive_is_read_as_one(
    tmp_path: Path,
) -> None:
    archive = Actors(LocalStorage(tmp_path))

    batches = [archive.archive(packets) for packets in ([GOOD, ODD, GOOD], [ODD], [GOOD])]

    assert [reasons(batch) for batch in batches] == [{1: "other_columns"}, {3: "other_columns"}, {}]
    letters = batches[0].dead_letters
    assert letters["value"].to_pylist() == [ODD]
    (detail,) = letters["detail"].to_pylist()
    fingerprint = batches[0].tables[0][0]
    assert "candidate.fid (string)" in detail
    assert f"candidate.fid (int32) of schema {fingerprint[:8]}" in detail
    assert finkray.open_archive(tmp_path).dataset().to_table().num_rows == 3


@pytest.mark.parametrize("packets", [[GOOD, WIDE, LATER], [LATER, GOOD], [WIDE, GOOD]])
def test_what_readers_unite_is_archived(packets: list[bytes], tmp_path: Path) -> None:
    archive = Actors(LocalStorage(tmp_path))
    for packet in packets:
        assert reasons(archive.archive([packet])) == {}
    assert finkray.open_archive(tmp_path).dataset().to_table().num_rows == len(packets)


def test_a_field_that_was_always_null_may_have_any_type_later(tmp_path: Path) -> None:
    archive = Actors(LocalStorage(tmp_path))
    assert reasons(archive.archive([LATER])) == {}
    typed = alert(NUMBER, long(1) + sized(b"x"), ("new", "string"))
    assert reasons(archive.archive([typed])) == {}
    table = finkray.open_archive(tmp_path).dataset().to_table().sort_by("kafka_offset")
    assert table["new"].to_pylist() == [None, "x"]


def test_a_name_in_another_case_is_a_dead_letter() -> None:
    archive = Actors(in_memory())
    archive.archive([GOOD])
    batch = archive.archive([CASE])
    assert reasons(batch) == {1: "other_columns"}
    assert "candidate.FID (int32)" in batch.dead_letters["detail"][0].as_py()


def test_two_names_of_one_schema_are_not_said_to_be_of_another() -> None:
    archive = Actors(in_memory())
    archive.archive([GOOD])
    twins = alert(NUMBER, long(1) + long(1) + long(1), ("ra", "int"), ("RA", "int"))
    (detail,) = archive.archive([twins]).dead_letters["detail"].to_pylist()
    assert detail == "Readers cannot put RA (int32) into one table with ra (int32)."


def test_topics_of_one_survey_are_one_table_and_other_topics_are_not() -> None:
    archive = Actors(in_memory())
    archive.archive([GOOD], "ztf_1")
    assert reasons(archive.archive([ODD], "ztf_2")) == {0: "other_columns"}
    assert reasons(archive.archive([ODD], "else")) == {}
    assert reasons(archive.archive([GOOD], "else")) == {1: "other_columns"}
    assert reasons(archive.archive([GOOD], "another")) == {}


def test_the_first_that_decodes_decides_also_after_a_restart() -> None:
    archive = Actors(in_memory())
    assert reasons(archive.archive([ODD])) == {}
    for _ in range(2):  # an actor of its own each time
        assert set(reasons(archive.archive([GOOD, ODD])).values()) == {"other_columns"}
        archive.ledger = Ledger.take_over(archive.storage)


def test_a_damaged_packet_does_not_decide() -> None:
    archive = Actors(in_memory())
    assert reasons(archive.archive([alert(TEXT, b"")])) == {0: "bad_record"}
    assert reasons(archive.archive([GOOD])) == {}


class Contended(MemoryStorage):
    """A storage in which another actor acts just before an entry is created."""

    rival: Any = None

    def create(self, path: str, data: bytes) -> bool:
        if "/tables/" in path and self.rival is not None:
            act, self.rival = self.rival, None
            act()
        return super().create(path, data)


@pytest.mark.parametrize(
    ("rival", "refused"), [(ODD, True), (WIDE, False), (LATER, False), (GOOD, False)]
)
def test_of_two_actors_that_meet_conflicting_schemas_at_once_one_decides(
    rival: bytes, *, refused: bool
) -> None:
    storage = Contended(uuid.uuid4().hex)
    archive = Actors(storage)
    other = archive.actor()
    storage.rival = lambda: archive.archive([rival], "ztf_2", other)

    late = archive.archive([GOOD], "ztf_1")

    assert reasons(late) == ({0: "other_columns"} if refused else {})
    assert reasons(archive.archive([GOOD], "ztf_2", other)) == (
        {1: "other_columns"} if refused else {}
    )


def test_a_storage_that_hides_new_entries_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = in_memory()
    archive = Actors(storage)
    monkeypatch.setattr(storage, "create", lambda *_: False)
    with pytest.raises(StorageError, match="finkray check"):
        archive.actor().decode([RawMessage(0, None, GOOD)], TopicPartition("c", "ztf_1", "i", 0))


def test_an_archive_from_before_learns_its_tables_once(tmp_path: Path) -> None:
    archive = Actors(LocalStorage(tmp_path))
    unaware = make_decoder(PACKETS, 2**23, {})
    archive.archive([GOOD], actor=unaware)
    archive.archive([ODD], actor=unaware)
    archive.archive([ODD], "else", actor=unaware)
    assert not (tmp_path / "schemas" / "tables").exists()
    calls = []

    def archived() -> list[tuple[str, str]]:
        calls.append(1)
        return archived_schemas(archive.storage)

    for _ in range(2):
        TableSchemas(archive.storage, PACKETS).complete(archived)

    assert len(calls) == 1
    assert [topic for topic, _ in archived_schemas(archive.storage)] == ["ztf_1", "ztf_1", "else"]
    assert reasons(archive.archive([GOOD, ODD])) == {3: "other_columns"}
    assert reasons(archive.archive([ODD, GOOD], "else")) == {2: "other_columns"}


def test_topics_that_move_to_a_survey_bring_their_columns(tmp_path: Path) -> None:
    archive = Actors(LocalStorage(tmp_path))
    archive.archive([GOOD], "else")
    packets = PacketSettings(surveys={"": "ztf"})
    tables = TableSchemas(archive.storage, packets)
    tables.complete(lambda: archived_schemas(archive.storage))
    decoder = make_decoder(packets, 2**23, {}, tables)
    assert reasons(archive.archive([ODD], "ztf_1", decoder)) == {0: "other_columns"}


def test_looking_accepts_nothing() -> None:
    storage = in_memory()
    schema = WriterSchema.from_text(
        '{"type":"record","name":"a","fields":[{"name":"x","type":"int"}]}'
    )
    assert TableSchemas(storage, PACKETS, accepts=False).refusal("else", schema) is None
    assert list(storage.walk("")) == []


def test_a_schema_that_adds_no_column_has_no_entry() -> None:
    archive = Actors(in_memory())
    archive.archive([WIDE])
    archive.archive([GOOD, alert(NUMBER, long(1) + long(1), ("a", "int"))])
    folder = "schemas/tables/survey=ztf"
    assert [file.path for file in archive.storage.files(folder)] == [
        f"{folder}/000000.json",
        f"{folder}/000001.json",
    ]


def test_a_table_of_too_many_columns_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_schemas, "MAX_TABLE_COLUMNS", 13)
    archive = Actors(in_memory())
    assert reasons(archive.archive([GOOD])) == {}
    assert reasons(archive.archive([alert(NUMBER, long(1) + long(1), ("a", "int"))])) == {}
    batch = archive.archive([alert(NUMBER, long(1) + long(1), ("b", "int")), GOOD])
    assert reasons(batch) == {2: "other_columns"}
    assert "14 columns" in batch.dead_letters["detail"][0].as_py()


def test_a_damaged_entry_is_named() -> None:
    archive = Actors(in_memory())
    archive.archive([GOOD])
    archive.storage.replace("schemas/tables/survey=ztf/000000.json", b"{}")
    tables = TableSchemas(archive.storage, PACKETS)
    with pytest.raises(LedgerCorrupt, match=r"survey=ztf/000000\.json"):
        tables.complete(list)


def test_all_versions_of_real_alerts_fit_one_table(test_data: Path) -> None:
    """In both orders, with the schemas that Spark wrote and those from before the survey."""
    packets = [RawMessage(n, None, data) for n, data in enumerate(real_ztf_packets(test_data))]
    source = TopicPartition("cluster", "ztf_1", "id", 0)
    decoded = make_decoder(PACKETS, 2**23, {}).decode(packets, source)
    schemas = [table.schema for table in decoded.tables]
    assert len(schemas) > 6
    for order in (schemas, schemas[::-1]):
        tables = TableSchemas(in_memory(), PACKETS)
        assert [tables.refusal("ztf_1", schema) for schema in order] == [None] * len(schemas)


@pytest.mark.parametrize("order", [1, -1])
def test_all_schemas_of_lsst_fit_one_table(test_data: Path, order: int) -> None:
    tables = TableSchemas(in_memory(), PacketSettings(surveys={"": "lsst"}))
    folder = SchemaFolder(test_data / "schemas" / "lsst")
    ids = [300, 400, 500, 600, 601, 700, 701, 702, 703, 704, 800, 900, 1000, 1100, 1101]
    for schema_id in ids[::order]:
        text = folder.find(schema_id)
        assert text is not None
        assert tables.refusal("lsst-alerts", WriterSchema.from_text(text)) is None, schema_id
