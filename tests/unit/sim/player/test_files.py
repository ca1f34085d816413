"""What people have on disk is played: any spelling, compressed, many alerts in a file, LSST's."""

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import fastavro
import pytest

from finkray.errors import SettingsError
from finkray.packets.decode import Decoded
from finkray.packets.decoder import make_decoder
from finkray.settings.packets import PacketSettings
from sim.player.files import survey_of_files
from sim.player.sources import from_files
from tests.support.avro_cases import SOURCE, messages
from tests.support.packets import lsst_samples, real_ztf_packets

PACK: dict[str, Callable[[bytes], bytes]] = {
    "a.AVRO": bytes,
    "b.Avro": bytes,
    "c.avro.gz": gzip.compress,
    "d.AVRO.GZ": gzip.compress,
    "e.avro.xz": lzma.compress,
    "f.avro.bz2": bz2.compress,
}


@pytest.fixture(scope="module")
def packets(test_data: Path) -> list[bytes]:
    return list(real_ztf_packets(test_data, "202002*"))[: len(PACK)]


def decoded(values: list[bytes | None], survey: str, folder: Path | None = None) -> Decoded:
    settings = PacketSettings(surveys={"": survey}, schema_folder=str(folder or ""))
    return make_decoder(settings, 2**24, {}).decode(messages(values), SOURCE)


def of_several(packets: list[bytes], codec: str, sync_interval: int = 1) -> bytes:
    """One container with the records of all these packets."""
    readers = [fastavro.reader(io.BytesIO(packet)) for packet in packets]
    out = io.BytesIO()
    records = [record for reader in readers for record in reader]
    fastavro.writer(
        out, readers[0].writer_schema or {}, records, codec=codec, sync_interval=sync_interval
    )
    return out.getvalue()


def test_every_spelling_and_compression_is_played_from_folders_and_tars(
    tmp_path: Path, packets: list[bytes]
) -> None:
    with tarfile.open(tmp_path / "all.TAR", "w") as tar:
        for (name, pack), packet in zip(PACK.items(), packets, strict=True):
            (tmp_path / name).write_bytes(pack(packet))
            tar.add(tmp_path / name, f"night/{name}")

    assert [packet.data for packet in from_files(tmp_path / "all.TAR")] == packets
    (tmp_path / "all.TAR").unlink()
    assert [packet.data for packet in from_files(tmp_path)] == packets


@pytest.mark.parametrize("codec", ["null", "deflate", "xz"])
@pytest.mark.parametrize("sync_interval", [1, 100_000, 10**9])
def test_each_record_of_a_container_is_a_message(
    tmp_path: Path, packets: list[bytes], codec: str, sync_interval: int
) -> None:
    (tmp_path / "all.avro").write_bytes(of_several(packets, codec, sync_interval))

    played = [packet.data for packet in from_files(tmp_path)]

    assert len(played) == len(packets)
    for message, packet in zip(played, packets, strict=True):
        (given,) = fastavro.reader(io.BytesIO(message or b""))
        assert repr(given) == repr(next(fastavro.reader(io.BytesIO(packet))))
    assert not decoded(played, "ztf").rejects


def test_records_before_a_damage_are_played_and_the_file_is_named(
    tmp_path: Path, packets: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    whole = of_several(packets, "null")
    (tmp_path / "cut.avro").write_bytes(whole[: len(whole) * 2 // 3])

    played = [packet.data for packet in from_files(tmp_path)]

    assert 2 <= len(played) < len(packets)
    assert not decoded(played, "ztf").rejects
    assert "not played: 1 x damaged, from here on" in caplog.text
    assert "cut.avro" in caplog.text


@pytest.mark.parametrize("name", ["lsst_fakeAlert_alert_packet.tar.xz", "lsst_v3_hits2015_10.avro"])
def test_lsst_alerts_are_framed_and_their_schemas_written(
    tmp_path: Path, test_data: Path, name: str
) -> None:
    """One schema each, with LSST's ids; and several alerts with a schema that names no version."""
    path = test_data / "lsst" / name
    assert survey_of_files(path) == "lsst"

    played = [packet.data for packet in from_files(path, survey="lsst", schema_folder=tmp_path)]

    assert all(message and message[0] == 0 for message in played)
    found = decoded(played, "lsst", tmp_path)
    assert not found.rejects
    assert {f"{schema_id}.avsc" for schema_id in found.schema_ids} == {
        file.name for file in tmp_path.iterdir()
    }
    if path.suffix == ".avro":
        assert len(played) == 10
    else:
        samples = lsst_samples(test_data)
        assert set(found.schema_ids) == {sample.schema_id for sample in samples}
        records = {(message or b"")[5:] for message in played}
        assert records == {sample.record for sample in samples}


def test_what_is_left_out_is_named(
    tmp_path: Path, test_data: Path, packets: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "good.avro").write_bytes(packets[0])
    (tmp_path / "notes.txt").write_text("no packet")
    (tmp_path / "table.parquet").write_bytes(b"PAR1")
    (tmp_path / "bad.avro.gz").write_bytes(gzip.compress(packets[0])[:-100])
    lsst = (test_data / "lsst" / "lsst_v3_hits2015_10.avro").read_bytes()
    (tmp_path / "other.avro").write_bytes(lsst)

    assert [packet.data for packet in from_files(tmp_path, survey="ztf")] == [packets[0]]

    assert "2 x no Avro container by its name (notes.txt, table.parquet)" in caplog.text
    assert "of survey lsst, on a topic of ztf (other.avro)" in caplog.text
    assert "cannot be unpacked" in caplog.text
    (tmp_path / "good.avro").unlink()
    with pytest.raises(SettingsError, match=r"left out: .*other\.avro"):
        list(from_files(tmp_path, survey="ztf"))
