"""Strange kinds: each has its signature in the packet or the curve, and nothing else tells it."""

import io
import itertools
from collections import defaultdict
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.lsst.alerts import LsstMaker
from sim.maker import MadeAlert, Maker
from sim.sky import curves
from sim.sky.geometry import Field
from sim.sky.kinds import ALERTS_SHARE, KINDS, STRANGE_KINDS, Kind, VisibleIn
from sim.sky.strange import STRANGE_SEEN_SHARE, lasting_counts
from sim.ztf.alerts import ZtfMaker
from sim.ztf.population import lasting
from tests.support.examples import examples
from tests.support.simulated import decoded


@pytest.fixture(scope="module")
def population() -> Any:
    return lasting(3, Field(409, 10.0, 20.0), 400, 3301, strange_percent=20)


@pytest.fixture(scope="module")
def ztf() -> list[tuple[MadeAlert, dict[str, Any]]]:
    """Alerts of some fields in a few weeks, one in three of a strange kind."""
    maker = ZtfMaker(4, alerts_per_visit=90, fields={430, 431}, strange_percent=33)
    alerts = itertools.chain.from_iterable(
        visit.alerts for visit in itertools.islice(maker.visits(), 28)
    )
    strange = [alert for alert in alerts if alert.kind in STRANGE_KINDS]
    return [(alert, next(fastavro.reader(io.BytesIO(alert.packet)))) for alert in strange]


def of_kind(
    alerts: list[tuple[MadeAlert, dict[str, Any]]], kind: Kind
) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Return candidate and history of the alerts of a kind; there must be some."""
    found = [
        (record["candidate"], record["prv_candidates"] or [])
        for alert, record in alerts
        if alert.kind == kind
    ]
    assert found, kind
    return found


def detections(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in history if entry["candid"] is not None]


@settings(max_examples=examples(2), deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_strange_alerts(seed: int) -> None:
    def packets(maker: Maker) -> list[bytes]:
        return [alert.packet for alert in itertools.islice(maker.alerts(), 6)]

    for make in (ZtfMaker, LsstMaker):
        first, again = (make(seed, alerts_per_visit=6, strange_percent=30) for _ in range(2))
        assert packets(first) == packets(again)


def test_strange_kinds_have_the_wanted_share_of_the_alerts() -> None:
    counts = [
        lasting_counts(
            np.random.default_rng(seed), 250, {**dict.fromkeys(Kind, 0.5), **STRANGE_SEEN_SHARE}, 1
        )
        for seed in range(200)
    ]
    seen = {**dict.fromkeys(Kind, 0.5), **STRANGE_SEEN_SHARE}
    for kind in STRANGE_KINDS:
        alerts = np.mean([one[kind] for one in counts]) * seen[kind]
        assert alerts == pytest.approx(250 * 0.01 / len(STRANGE_KINDS), rel=0.3), kind
    ordinary = lasting_counts(np.random.default_rng(1), 250, seen, 0)
    assert set(ordinary) & set(STRANGE_KINDS) == {Kind.STRANGE}
    assert set(ordinary) <= set(ALERTS_SHARE)


def test_at_least_five_kinds_show_in_a_packet_and_four_in_the_curve() -> None:
    where = list(STRANGE_KINDS.values())
    assert where.count(VisibleIn.PACKET) >= 5
    assert where.count(VisibleIn.CURVE) >= 4


def test_no_two_fields_share_the_name_of_an_object() -> None:
    # How many objects a field has differs.
    fields = [
        lasting(3, Field(number, 10.0, 20.0), 12, 3301, strange_percent=30)
        for number in range(430, 436)
    ]
    assert len({len(field) for field in fields}) > 1
    serials = np.concatenate([field.serial for field in fields])
    assert len(np.unique(serials)) == len(serials)


def test_neither_number_nor_place_nor_order_betrays_a_strange_object(population: Any) -> None:
    strange = population.is_kind(*STRANGE_KINDS)
    rank = np.flatnonzero(strange) / len(strange)
    # As those of ordinary objects: everywhere in the list, with nothing between them alike.
    assert rank.mean() == pytest.approx(0.5, abs=0.05)
    assert np.array_equal(population.serial, np.sort(population.serial))
    runs = np.diff(np.flatnonzero(strange))
    assert runs.max() < 30 < np.count_nonzero(runs > 1)
    for name in ("x_pixels", "y_pixels", "channel"):
        values = getattr(population.places, name)
        here, others = values[strange], values[~strange]
        spread = np.std(others) / np.sqrt(len(here))
        assert abs(here.mean() - others.mean()) < 4 * spread
    for divisor in (30, 50, 200, 500):  # what the makers take from a serial
        left = population.serial % divisor
        assert len(set(left[strange].tolist())) > 0.9 * min(divisor, strange.sum() / 3)


def test_a_hostless_transient_is_bright_with_nothing_near_it(ztf: Any) -> None:
    alerts = of_kind(ztf, Kind.HOSTLESS)
    for candidate, _ in alerts:
        assert candidate["distnr"] > 6
        assert candidate["distpsnr1"] > 4
        assert candidate["ssdistnr"] == -999
        assert candidate["isdiffpos"] == "t"
    assert max(len(detections(history)) for _, history in alerts) > 1
    assert np.median([candidate["magpsf"] for candidate, _ in alerts]) < 18


def test_a_dip_is_deep_and_only_limits_came_before_its_beginning(ztf: Any) -> None:
    for candidate, history in of_kind(ztf, Kind.DEEP_DIP):
        assert candidate["isdiffpos"] == "f"
        assert candidate["distnr"] < 1
        assert candidate["magnr"] < 17.5
        assert all(entry["isdiffpos"] == "f" for entry in detections(history))
        assert max((candidate["jd"] - e["jd"] for e in detections(history)), default=0) < 25


def test_a_fast_blue_transient_is_blue_and_gone_before_the_next_visit(ztf: Any) -> None:
    alerts = of_kind(ztf, Kind.FAST_BLUE)
    colours = []
    for candidate, history in alerts:
        earlier = detections(history)
        assert all(candidate["jd"] - entry["jd"] < 4.5 for entry in earlier)
        colours += [
            entry["magpsf"] - candidate["magpsf"]
            for entry in earlier
            if entry["fid"] == 1 and candidate["fid"] == 2 and candidate["jd"] - entry["jd"] < 0.2
        ]
    assert np.median(colours) == pytest.approx(-0.55, abs=0.1)


def test_a_drifter_moves_by_about_an_arcsec_a_day_and_its_neighbours_stay(ztf: Any) -> None:
    speeds = []
    for candidate, history in of_kind(ztf, Kind.DRIFTER):
        assert candidate["ssdistnr"] == -999
        for entry in detections(history):
            days = candidate["jd"] - entry["jd"]
            east = (candidate["ra"] - entry["ra"]) * np.cos(np.radians(entry["dec"])) * 3600
            north = (candidate["dec"] - entry["dec"]) * 3600
            if days > 2:
                speeds.append(np.hypot(east, north) / days)
            # The reference source stays, so its distance changes with the motion.
            assert candidate["ranr"] == pytest.approx(entry["ranr"], abs=2e-7)
        ranks = [candidate[f"distpsnr{rank}"] for rank in (1, 2, 3)]
        known = [distance for distance in ranks if distance != -999]
        assert known == sorted(known)
        east = (candidate["ra"] - candidate["ranr"]) * np.cos(np.radians(candidate["dec"])) * 3600
        apart = np.hypot(east, (candidate["dec"] - candidate["decnr"]) * 3600)
        assert candidate["distnr"] * 1.012 == pytest.approx(apart, abs=0.01)
    assert 0.4 < min(speeds) < max(speeds) < 1.7


def test_a_jump_is_four_magnitudes_above_the_last_limit(ztf: Any) -> None:
    first = [(c, h) for c, h in of_kind(ztf, Kind.JUMP) if not detections(h) and h]
    assert first
    jumps = [
        [entry for entry in history if entry["fid"] == candidate["fid"]][-1]["diffmaglim"]
        - candidate["magpsf"]
        for candidate, history in first
    ]
    assert np.median(jumps) > 4
    assert min(jumps) > 3


def test_forced_photometry_tells_the_same(ztf: Any) -> None:
    checked = 0
    for alert, record in ztf:
        if alert.kind == Kind.DRIFTER:
            continue
        flux = {entry["jd"]: entry for entry in record["fp_hists"] or ()}
        for entry in detections(record["prv_candidates"] or []):
            forced = flux[entry["jd"]]
            if forced["procstatus"] == "0":
                checked += 1
                assert (forced["forcediffimflux"] > 0) == (entry["isdiffpos"] == "t")
    assert checked > 100


def test_forced_photometry_at_the_place_loses_a_drifter_that_has_left(
    ztf: Any, population: Any
) -> None:
    ratios = []
    for alert, record in ztf:
        flux = {entry["jd"]: entry for entry in record["fp_hists"] or ()}
        for entry in detections(record["prv_candidates"] or []):
            if alert.kind == Kind.DRIFTER and entry["jd"] - alert.event_jd > 7:
                counted = 10 ** (0.4 * (entry["magzpsci"] - entry["magpsf"]))
                ratios.append(flux[entry["jd"]]["forcediffimflux"] / counted)
    assert np.median(ratios) < 0.2
    drifters = population.take(np.flatnonzero(population.is_kind(Kind.DRIFTER)))
    seeing_arcsec = np.full(len(drifters), 2.0)
    left = [drifters.light_at_place(drifters.onset_jd + days, seeing_arcsec) for days in (0, 1, 20)]
    assert np.all(left[0] == 1)
    assert np.all((left[0] > left[1]) & (left[1] > left[2]))
    assert left[2].max() < 0.01


def test_lsst_has_the_same_signatures() -> None:
    # The bulge, whose history is short.
    maker = LsstMaker(3, alerts_per_visit=80, strange_percent=50)
    visit = itertools.takewhile(lambda alert: alert.visit < 151, maker.alerts(150))
    alerts = [alert for alert in visit if alert.kind in STRANGE_KINDS]
    rows = decoded([alert.packet for alert in alerts], "lsst")
    kinds = defaultdict(list)
    for alert, row in zip(alerts, rows, strict=True):
        kinds[alert.kind].append(row)
    assert set(kinds) == set(STRANGE_KINDS)
    for row in kinds[Kind.HOSTLESS] + kinds[Kind.DRIFTER]:
        assert row["diaSource"]["templateFlux"] == 0
        assert row["diaSource"]["ssObjectId"] == 0
        assert row["ssSource"] is None
    for row in kinds[Kind.DEEP_DIP]:
        assert row["diaSource"]["isNegative"]
        assert row["diaSource"]["templateFlux"] > 10_000
        assert all(source["isNegative"] for source in row["prvDiaSources"] or ())
    for row in kinds[Kind.JUMP]:
        past = row["prvDiaSources"] or [row["diaSource"]]
        brightest = max(source["psfFlux"] for source in past)
        assert brightest > 10 * row["diaSource"]["templateFlux"]
    moved = [
        np.hypot(
            (row["diaSource"]["ra"] - source["ra"]) * np.cos(np.radians(source["dec"])),
            row["diaSource"]["dec"] - source["dec"],
        )
        * 3600
        / (row["diaSource"]["midpointMjdTai"] - source["midpointMjdTai"])
        for row in kinds[Kind.DRIFTER]
        for source in row["prvDiaSources"] or ()
        if row["diaSource"]["midpointMjdTai"] - source["midpointMjdTai"] > 1
    ]
    assert 0.3 < np.median(moved) < 1.7


def test_curves_do_what_their_names_say() -> None:
    days = np.linspace(0, 99, 4_000)

    def wide(value: float) -> np.ndarray[Any, Any]:
        return np.full(len(days), value)

    peaks = curves.two_peaks(days, wide(5), wide(10), wide(40), wide(1))
    tops = np.flatnonzero((peaks[1:-1] > peaks[:-2]) & (peaks[1:-1] > peaks[2:]))
    assert len(tops) == 2
    wave = curves.chirp_mag(days, wide(100), wide(30), wide(6), wide(0.5))
    crossings = np.diff(days[1:][np.diff(np.sign(wave)) != 0])
    assert np.all(np.diff(crossings) < 0)
    assert crossings[0] > 3 * crossings[-1]
    rise = -2.5 * np.log10(curves.runaway(days - 100, wide(1)))
    assert np.all(np.diff(np.diff(rise)) < 1e-9)  # ever faster in magnitudes too
    assert curves.runaway(np.array([10.0]), np.array([1.0]))[0] < 1e-4


def test_all_kinds_are_in_the_list_by_which_populations_number_them() -> None:
    assert set(STRANGE_KINDS) <= set(KINDS)
