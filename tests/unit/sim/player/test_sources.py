"""Packets come out of folders and archives as they are, in the order that is asked for."""

import io
import itertools
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from finkray.errors import SettingsError
from sim.maker import MadeAlert
from sim.player.sources import Packet, _sorted_by_time, described, from_files, made
from sim.ztf.alerts import ZtfMaker

BROKEN = b"Obj\x01 and then nothing that could be read"


@pytest.fixture(scope="module")
def alerts() -> list[MadeAlert]:
    """Some alerts of three visits."""
    maker = ZtfMaker(1, alerts_per_visit=3, schema_version="3.3")
    return [alert for visit in itertools.islice(maker.visits(), 3) for alert in visit.alerts]


def _tar(path: Path, members: dict[str, bytes], mode: str) -> None:
    with tarfile.open(path, f"w:{mode}") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def test_made_packets_tell_what_is_in_them() -> None:
    packets = list(itertools.islice(made(ZtfMaker(1, alerts_per_visit=3)), 5))
    told = [described(Packet(packet.data)) for packet in packets]
    assert told == [replace(packet, alert=None, visit=None) for packet in packets]
    assert [packet.visit for packet in packets if packet.alert] == [
        packet.alert.visit for packet in packets if packet.alert
    ]


@pytest.mark.parametrize(("name", "mode"), [("a.tar", ""), ("a.tar.gz", "gz"), ("a.tar.xz", "xz")])
def test_an_archive_is_played_in_its_own_order(
    tmp_path: Path, alerts: list[MadeAlert], name: str, mode: str
) -> None:
    members = {f"night/{-i}.avro": alert.packet for i, alert in enumerate(alerts)}
    _tar(tmp_path / name, {**members, "README": b"no packet"}, mode)
    packets = list(from_files(tmp_path / name))
    assert [packet.data for packet in packets] == list(members.values())
    assert packets[0] == Packet(alerts[0].packet)


def test_a_folder_is_played_in_the_order_of_names_with_all_that_is_below(
    tmp_path: Path, alerts: list[MadeAlert]
) -> None:
    first, second, third, *_ = (alert.packet for alert in alerts)
    (tmp_path / "b").mkdir()
    _tar(tmp_path / "b" / "night.tar.gz", {"x.avro": second}, "gz")
    (tmp_path / "b" / "z.avro").write_bytes(third)
    (tmp_path / "a.avro").write_bytes(first)
    (tmp_path / "notes.txt").write_text("no packet")
    assert [packet.data for packet in from_files(tmp_path)] == [first, second, third]
    assert [packet.data for packet in from_files(tmp_path / "a.avro")] == [first]


def test_in_order_means_by_the_time_of_observation(tmp_path: Path, alerts: list[MadeAlert]) -> None:
    shuffled = {f"{i}.avro": alert.packet for i, alert in enumerate(reversed(alerts))}
    _tar(tmp_path / "night.tar", shuffled, "")
    packets = list(from_files(tmp_path / "night.tar", in_order=True))
    assert [packet.jd for packet in packets] == sorted(alert.jd for alert in alerts)
    assert {packet.candid for packet in packets} == {alert.candid for alert in alerts}


def test_a_broken_packet_is_played_too_and_keeps_its_neighbour(
    tmp_path: Path, alerts: list[MadeAlert]
) -> None:
    names = {"1.avro": alerts[-1].packet, "2.avro": BROKEN, "3.avro": alerts[0].packet}
    _tar(tmp_path / "night.tar", names, "")
    packets = list(from_files(tmp_path / "night.tar", in_order=True))
    assert [packet.data for packet in packets] == [alerts[0].packet, alerts[-1].packet, BROKEN]
    assert packets[-1] == Packet(BROKEN)


def test_sorting_holds_no_more_than_its_window() -> None:
    def packet(jd: float) -> Packet:
        return Packet(bytes(10), jd)

    taken = []

    def source() -> itertools.chain[Packet]:
        times = [2.0, 1.0, 4.0, 3.0, 6.0, 5.0, 8.0, 7.0]
        return itertools.chain(taken.append(jd) or packet(jd) for jd in times)

    given = []
    for held in _sorted_by_time(source(), window_bytes=20):
        given.append(held.jd)
        assert len(taken) - len(given) <= 2
    assert given == sorted(taken)


def test_what_is_too_far_from_its_place_comes_late_and_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    packets = [Packet(bytes(10), jd) for jd in (5.0, 6.0, 7.0, 1.0)]
    times = [packet.jd for packet in _sorted_by_time(packets, window_bytes=10)]
    assert sorted(times) == [1.0, 5.0, 6.0, 7.0]
    assert "1 packets were too far" in caplog.text


def test_where_there_is_nothing_to_play_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such folder"):
        list(from_files(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match=r"no \.avro file"):
        list(from_files(tmp_path))


def test_real_archives_are_read_to_the_last_packet(test_data: Path) -> None:
    night = test_data / "ztf" / "ztf_20200101_fink-broker_50.tar.xz"
    packets = list(from_files(night, in_order=True))
    assert len(packets) == 50
    assert all(packet.jd and packet.candid and packet.object_id for packet in packets)
    # Two of these twelve are broken: they are played all the same.
    early = list(from_files(test_data / "ztf" / "ztf_2016_ampel_ipac_12.tar.xz", in_order=True))
    assert sum(packet.candid is None for packet in early) == 2
    assert len(early) == 12
