"""The wire formats: containers, Confluent frames with the schema by its id, bare records."""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import fastavro.schema
import pytest

from finkray.avro.frame import FRAME_BYTES
from finkray.errors import SchemaError, SettingsError
from finkray.packets.decode import Decoder
from finkray.packets.decoder import make_decoder
from finkray.packets.schema_folder import SchemaFolder, read_schema_file
from finkray.settings.packets import PacketSettings
from finkray.surveys import SURVEYS
from tests.support.avro_cases import SOURCE, container, differences, long, messages, sized
from tests.support.packets import (
    framed,
    lsst_samples,
    lsst_schema,
    real_lsst_packets,
    real_ztf_packets,
)

MiB = 1024 * 1024


def decoder(test_data: Path | None = None, **packets: Any) -> Decoder:
    if test_data is not None:
        packets["schema_folder"] = str(test_data / "schemas" / "lsst")
    return make_decoder(PacketSettings(**packets), 8 * MiB, {})


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None:
                yield member.name, content.read()


def assert_equal_to_fastavro(values: list[bytes], expected: list[Any], decoder: Decoder) -> None:
    decoded = decoder.decode(messages(list(values)), SOURCE)
    assert decoded.rejects == ()
    rows = {
        int(row): packet
        for one in decoded.tables
        for row, packet in zip(one.rows, one.table.to_pylist(), strict=True)
    }
    assert sorted(rows) == list(range(len(values)))
    for index, alert in enumerate(expected):
        assert not list(differences(alert, rows[index]))


def test_the_real_alerts_of_lsst_in_their_frames(test_data: Path) -> None:
    """107 alerts with up to 1172 previous sources, as they would be on the topic."""
    values, alerts = map(list, zip(*real_lsst_packets(test_data), strict=True))
    assert len(values) == 107
    assert max(len(alert["prvDiaSources"] or ()) for alert in alerts) > 1000

    assert_equal_to_fastavro(values, alerts, decoder(test_data))


@pytest.mark.parametrize("name", ["boom_3", "fake_pittgoogle"])
def test_packets_as_they_stood_on_a_topic(name: str, test_data: Path) -> None:
    values = [
        data for _, data in members(test_data / "lsst" / f"lsst_confluent_wire_{name}.tar.xz")
    ]
    expected = []
    for value in values:
        schema = lsst_schema(test_data, int.from_bytes(value[1:FRAME_BYTES], "big"))
        expected.append(fastavro.schemaless_reader(io.BytesIO(value[FRAME_BYTES:]), schema))
    assert len(values) in (3, 10)

    assert_equal_to_fastavro(values, expected, decoder(test_data))


def test_the_official_sample_of_every_schema_of_lsst(test_data: Path) -> None:
    """From 3.0 to 11.0, each in its container and in a frame."""
    samples = lsst_samples(test_data)
    assert len(samples) == 14
    containers = [container(sample.schema, sample.record) for sample in samples]
    frames = [framed(sample.schema_id, sample.record) for sample in samples]
    expected = [sample.alert for sample in samples]
    assert_equal_to_fastavro(containers, expected, decoder())
    assert_equal_to_fastavro(frames, expected, decoder(test_data))


def test_the_alerts_of_2015_that_rubin_tried_its_pipelines_on(test_data: Path) -> None:
    """Of an old schema without a number, each as a packet of its own: one file has all 10."""
    with (test_data / "lsst" / "lsst_v3_hits2015_10.avro").open("rb") as file:
        reader = fastavro.reader(file)
        alerts, schema = list(reader), reader.writer_schema
    assert len(alerts) == 10
    packets = []
    for alert in alerts:
        out = io.BytesIO()
        fastavro.writer(out, schema, [alert], codec="deflate")
        packets.append(out.getvalue())
    assert_equal_to_fastavro(packets, alerts, decoder(surveys={"": "lsst"}))


def test_bare_records_of_a_configured_schema(test_data: Path) -> None:
    """As Fink's simulator sends ZTF's alerts."""
    path = test_data / "schemas" / "ztf_alert_v3.3.avsc"
    schema = json.loads(path.read_text())
    alerts = [
        alert
        for packet in real_ztf_packets(test_data, "20200101*")
        for alert in fastavro.reader(io.BytesIO(packet))
    ]
    values = []
    for alert in alerts:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(schema), alert)
        values.append(out.getvalue())

    assert_equal_to_fastavro(values, alerts, decoder(bare={f"^{SOURCE.topic}$": str(path)}))


def reasons(decoder: Decoder, *values: bytes) -> list[str]:
    decoded = decoder.decode(messages(list(values)), SOURCE)
    assert len(decoded.rejects) == len(values)
    return [reject.reason for reject in decoded.rejects]


def test_a_frame_that_is_no_alert(test_data: Path) -> None:
    (value, *_) = [
        data for _, data in members(test_data / "lsst" / "lsst_confluent_wire_boom_3.tar.xz")
    ]
    known = decoder(test_data)
    assert reasons(known, b"\0", b"\0\0\0\x03", value[:FRAME_BYTES]) == ["truncated"] * 3
    assert reasons(known, value[:-1], value + b"x") == ["bad_record"] * 2
    assert reasons(known, framed(4711, value[FRAME_BYTES:])) == ["unknown_schema"]
    assert reasons(decoder(), value) == ["unknown_schema"]


def test_a_bare_record_that_is_no_alert(tmp_path: Path) -> None:
    path = tmp_path / "pair.avsc"
    path.write_text(json.dumps(PAIR))
    bare = decoder(bare={"^topic$": str(path)})
    damaged = [b"\x02", long(7) + long(2**40), long(7) + sized(b"x") + b"y", container(PAIR, b"")]
    assert reasons(bare, *damaged) == ["bad_record"] * 4


PAIR = {
    "type": "record",
    "name": "ztf.alert",
    "fields": [{"name": "number", "type": "long"}, {"name": "text", "type": "string"}],
}


def test_an_alert_of_another_survey_is_known_by_its_fields(test_data: Path) -> None:
    """Not by its name: Spark names every record `topLevelRecord`."""
    ztf = next(real_ztf_packets(test_data, "20200101*"))
    by_spark = next(real_ztf_packets(test_data, "20231018*"))
    named_like_one = container(PAIR, long(1) + sized(b"x"))
    sample = members(test_data / "lsst" / "lsst_fakeAlert_alert_packet.tar.xz")
    lsst = [data for _, data in sample]

    only_ztf = decoder(surveys={"^topic": "ztf"})
    assert reasons(only_ztf, *lsst, named_like_one) == ["other_survey"] * 15
    assert only_ztf.decode(messages([ztf, by_spark]), SOURCE).rejects == ()
    (reject,) = only_ztf.decode(messages([named_like_one]), SOURCE).rejects
    assert reject.detail == (
        "No alert of ztf: it has no objectId (string), candid (int64), candidate.jd (double), "
        "candidate.ra (double), candidate.dec (double)."
    )

    only_lsst = decoder(surveys={"^topic": "lsst"})
    assert reasons(only_lsst, ztf, by_spark, named_like_one) == ["other_survey"] * 3
    assert only_lsst.decode(messages(list(lsst)), SOURCE).rejects == ()

    anything = decoder(surveys={"^topic": "any", "^to": "ztf"})
    assert anything.decode(messages([ztf, lsst[0], named_like_one]), SOURCE).rejects == ()


def test_a_field_of_another_type_makes_an_alert_of_another_survey(test_data: Path) -> None:
    """Readers could not put it into one column with those of the survey."""
    (sample, *_) = real_ztf_packets(test_data, "20200101*")
    reader = fastavro.reader(io.BytesIO(sample))
    (alert,) = reader
    schema = json.loads(json.dumps(reader.writer_schema))
    fields = {field["name"]: field for field in schema["fields"]}
    jd = next(f for f in fields["candidate"]["type"]["fields"] if f["name"] == "jd")
    ours = decoder(surveys={"^topic": "ztf"})
    for name, field, kind in (
        ("candid", fields["candid"], "string"),
        ("candid", fields["candid"], ["null", "int"]),
        ("candidate.jd", jd, {"type": "array", "items": "double"}),
        ("candidate.jd", jd, "float"),
    ):
        proper, field["type"] = field["type"], kind
        packet = container(schema, b"\0" * 500)
        (reject,) = ours.decode(messages([packet]), SOURCE).rejects
        field["type"] = proper
        assert reject.reason == "other_survey"
        assert reject.detail.startswith(f"No alert of ztf: it has no {name} (")
    fields["candid"]["type"] = ["null", "long"]  # whether it may be null does not matter
    out = io.BytesIO()
    fastavro.writer(out, schema, [alert])
    assert ours.decode(messages([out.getvalue()]), SOURCE).rejects == ()


def test_every_public_packet_is_of_its_survey(test_data: Path) -> None:
    folder = SchemaFolder(test_data / "schemas" / "lsst")
    surveys = decoder(surveys={"^topic": "ztf"})
    decoded = surveys.decode(messages(list(real_ztf_packets(test_data))), SOURCE)
    assert {reject.reason for reject in decoded.rejects} == {"truncated"}
    assert folder.find(1101) is not None
    assert set(SURVEYS) == {"ztf", "lsst"}


def test_a_message_beyond_the_limit_is_refused_unread() -> None:
    value = container(PAIR, long(1) + sized(b"x" * 5000))
    small = make_decoder(PacketSettings(), 4096, {})
    assert reasons(small, value, b"\0" * 5000) == ["too_large"] * 2


def test_a_missing_schema_of_bare_records_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"packets\.bare: .*gone\.avsc cannot be read"):
        decoder(bare={"x": str(tmp_path / "gone.avsc")})


def test_a_folder_of_schemas(tmp_path: Path) -> None:
    part = {"type": "record", "name": "n.part", "fields": [{"name": "x", "type": "int"}]}
    whole = {"type": "record", "name": "n.whole", "fields": [{"name": "p", "type": "n.part"}]}
    parted = tmp_path / "9" / "1"
    parted.mkdir(parents=True)
    (parted / "n.whole.alert.avsc").write_text(json.dumps(whole))
    folder = SchemaFolder(tmp_path)
    with pytest.raises(SchemaError, match=r"n\.part"):
        folder.find(901)
    (parted / "n.part.avsc").write_text(json.dumps(part))
    assert fastavro.schema.fullname(json.loads(folder.find(901) or "")) == "n.whole"
    assert folder.find(902) is None

    (tmp_path / "901.avsc").write_text(json.dumps(PAIR))
    with pytest.raises(SchemaError, match="several files are schema 901"):
        folder.find(901)
    (tmp_path / "5.avsc").write_text("{")
    with pytest.raises(SchemaError, match=r"5\.avsc: not a valid Avro schema"):
        folder.find(5)
    assert read_schema_file(tmp_path / "901.avsc") == json.dumps(PAIR)
