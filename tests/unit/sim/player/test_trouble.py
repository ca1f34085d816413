"""Trouble comes in the measure that was asked for, and no alert is lost by it."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finkray.errors import SettingsError
from finkray.settings.simulator import SimulatorSettings
from sim.player.night import night
from sim.player.poison import KINDS
from sim.player.sources import Packet, made
from sim.player.trouble import Trouble, troubled
from sim.ztf.alerts import ZtfMaker

NOW_MS = 1_800_000_000_000
ALERTS = list(itertools.islice(made(ZtfMaker(1, alerts_per_visit=20)), 60))
SHARES = st.sampled_from([0.0, 0.1, 1.0])


def with_trouble(trouble: Trouble, packets: list[Packet], seed: int = 0) -> list[Packet]:
    found = troubled(packets, trouble, lambda: b"Obj\x01other", seed=seed, now_ms=lambda: NOW_MS)
    return list(found)


def many(count: int) -> list[Packet]:
    """As many good packets as are wanted: the same sixty again and again."""
    return list(itertools.islice(itertools.cycle(ALERTS), count))


@given(
    poison=SHARES,
    duplicates=SHARES,
    out_of_order=SHARES,
    late=SHARES,
    count=st.integers(0, 60),
    seed=st.integers(0, 2**32),
)
def test_every_alert_comes_once_whatever_the_mix(
    poison: float, duplicates: float, out_of_order: float, late: float, count: int, seed: int
) -> None:
    trouble = Trouble(poison, duplicates, out_of_order, late)
    found = with_trouble(trouble, ALERTS[:count], seed)
    assert found == with_trouble(trouble, ALERTS[:count], seed)
    extra = [p for p in found if p.trouble.startswith("poison") or p.trouble == "duplicate"]
    proper = [p for p in found if p not in extra]
    sent = Counter(packet.candid for packet in proper)
    assert sent == Counter(packet.candid for packet in ALERTS[:count])
    by_candid = {packet.candid: packet.data for packet in ALERTS}
    for packet in found:
        if not packet.trouble.startswith("poison"):
            assert packet.reasons == ()
            assert packet.data == by_candid[packet.candid]
        else:
            assert packet.reasons
            assert packet.candid is packet.alert is None


def test_without_trouble_nothing_changes() -> None:
    assert with_trouble(Trouble(), ALERTS) == ALERTS


def test_shares_are_kept() -> None:
    trouble = Trouble(poison=0.05, duplicates=0.1, out_of_order=0.1, late=0.2)
    counts = Counter(packet.trouble.split(":")[0] for packet in with_trouble(trouble, many(2_000)))
    assert 60 < counts["poison"] < 140
    assert 150 < counts["duplicate"] < 250
    assert 140 < counts["out_of_order"] < 220
    assert 300 < counts["late"] < 420
    assert 20 < counts["late+out_of_order"] < 60


def test_poison_of_every_kind_comes_in_turn() -> None:
    found = [p.trouble for p in with_trouble(Trouble(poison=1.0), ALERTS[:18]) if p.trouble]
    assert found == [f"poison:{kind}" for kind in KINDS] * 2


def test_duplicates_are_the_same_bytes_later() -> None:
    found = with_trouble(Trouble(duplicates=1.0), many(1_500))
    again = [n for n, packet in enumerate(found) if packet.trouble == "duplicate"]
    assert len(found) == 3_000
    assert len(again) == 1_500
    assert all(found[n].data in {packet.data for packet in found[:n]} for n in again[:50])


def test_out_of_order_is_after_its_turn_with_the_time_of_its_turn() -> None:
    packets = [Packet(b"", candid=number) for number in range(3_000)]
    clock = iter(range(NOW_MS, NOW_MS + 3_000))
    trouble = Trouble(out_of_order=0.5)
    found = list(troubled(packets, trouble, bytes, now_ms=lambda: next(clock)))
    place = {packet.candid: n for n, packet in enumerate(found)}
    held = [packet for packet in found if packet.trouble]
    assert [p.candid for p in found if not p.trouble] == sorted(
        p.candid for p in found if not p.trouble
    )
    assert all(packet.create_ms is None for packet in found if not packet.trouble)
    # The clock stands still but when it is asked: once for each that is held back.
    in_turn = sorted(held, key=lambda packet: packet.candid or 0)
    assert [p.create_ms for p in in_turn] == list(range(NOW_MS, NOW_MS + len(held)))
    behind = [place[p.candid] - (p.candid or 0) for p in held]
    assert max(behind) > 300
    assert max(place[p.candid] - (p.candid or 0) for p in held) <= 1_001


def test_late_is_one_hour_to_two_days() -> None:
    found = with_trouble(Trouble(late=1.0), many(300))
    ago_h = [(NOW_MS - (packet.create_ms or 0)) / 3_600_000 for packet in found]
    assert 1 <= min(ago_h) < 4
    assert 44 < max(ago_h) <= 48


def test_oversize_comes_beside_the_alert() -> None:
    found = with_trouble(Trouble(oversize=1.0, oversize_bytes=200_000), ALERTS[:3])
    assert [packet.trouble for packet in found] == ["oversize", ""] * 3
    for large, good in zip(found[::2], found[1::2], strict=True):
        assert len(large.data or b"") > 200_000 > len(good.data or b"")
        assert (large.candid, large.reasons) == (good.candid, ("too_large",))


def test_what_is_broken_already_gets_no_more_trouble() -> None:
    broken = [Packet(b"Obj\x01broken"), Packet(b"\x00\xff\xff\xff\xffframe"), Packet(b"")]
    assert with_trouble(Trouble(poison=1.0, oversize=1.0, oversize_bytes=200_000), broken) == broken


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_is_from_0_to_1(share: float) -> None:
    with pytest.raises(SettingsError, match="from 0 to 1"):
        Trouble(late=share)


@pytest.mark.parametrize(
    ("survey", "versions"), [("ztf", ("3.3", "4.02")), ("lsst", ("10.0", "11.0"))]
)
def test_the_schema_changes_in_the_middle_of_a_visit(
    survey: str, versions: tuple[str, str]
) -> None:
    def play(bump: str) -> list[Packet]:
        asked = {"survey": survey, "alerts": 30, "alerts_per_visit": 12, "plane_alerts": 12}
        return list(night(SimulatorSettings(schema_bump=bump, **asked)))

    bumped, never, at_once = play("17"), play("1000"), play("0")
    assert [p.alert.schema_version for p in bumped if p.alert] == (
        [versions[0]] * 17 + [versions[1]] * 13
    )
    # The same alerts, in the other version.
    assert [p.candid for p in bumped] == [p.candid for p in never] == [p.candid for p in at_once]
    assert bumped[:17] == never[:17]
    assert bumped[17:] == at_once[17:]
    assert play("2020-01-01T00:00:00Z") == at_once
    assert play("2920-01-01T00:00:00Z") == never
