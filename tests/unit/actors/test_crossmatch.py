from pathlib import Path

import cdshealpix
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from astropy import units
from astropy.coordinates import Distance, SkyCoord
from astropy.time import Time
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.crossmatch import match, match_current
from actors.matching import answer_schema
from catalogs.catalog import Catalogs
from finkray.errors import CatalogError
from finkray.index.pixels import sky_index
from tests.support.examples import examples
from tests.support.made_catalogs import ARCSEC, alerts, assert_as_astropy, made

RADIUS = 2.0

Sky = tuple[np.ndarray, np.ndarray]


def hard_places() -> Sky:
    """Both poles, where the sky closes, borders and corners of pixels of many orders."""
    rng = np.random.default_rng(5)
    ra = [*rng.uniform(0, 360, 12), *rng.uniform(0, 360, 12), *([0.0] * 6), *([360.0] * 3)]
    dec = [*(90 - rng.uniform(0, 3, 12) * ARCSEC), *(-90 + rng.uniform(0, 3, 12) * ARCSEC)]
    dec += [*rng.uniform(-80, 80, 6), *rng.uniform(-80, 80, 3)]
    ra, dec = [*ra, 0.0, 123.0], [*dec, 90.0, -90.0]
    for order in (0, 1, 2, 3, 5):
        pixels = np.unique(rng.integers(0, 12 * 4**order, 8)).astype(np.uint64)
        lon, lat = cdshealpix.vertices(pixels, order, step=3)
        ra += lon.to_value("deg").ravel().tolist()
        dec += lat.to_value("deg").ravel().tolist()
    return np.array(ra), np.array(dec)


def crowded(places: Sky, seed: int, each: int = 6) -> Sky:
    """Sources within some radii of places, some of them at the very same spot."""
    rng = np.random.default_rng(seed)
    centers = SkyCoord(np.repeat(places[0], each), np.repeat(places[1], each), unit="deg")
    angle = rng.uniform(0, 360, len(centers)) * units.deg
    away = rng.uniform(0, 2.5 * RADIUS, len(centers)) * units.arcsec
    here = centers.directional_offset_by(angle, away)
    ra, dec = here.ra.deg, here.dec.deg
    return np.concatenate([ra, ra[::9], places[0][::5]]), np.concatenate(
        [dec, dec[::9], places[1][::5]]
    )


@pytest.fixture(scope="module")
def sources() -> Sky:
    return crowded(hard_places(), seed=1)


@pytest.fixture(scope="module", params=[10, 100_000], ids=["many-shards", "few-shards"])
def catalogs(
    request: pytest.FixtureRequest, sources: Sky, tmp_path_factory: pytest.TempPathFactory
) -> Catalogs:
    return made(
        tmp_path_factory.mktemp("catalogs"),
        *sources,
        radius_arcsec=RADIUS,
        catalog={"shard_rows": request.param},
    )


def test_astropys_answers_at_poles_wrap_borders_and_same_places(
    catalogs: Catalogs, sources: Sky
) -> None:
    ra, dec = crowded(hard_places(), seed=2, each=20)
    positions = alerts(ra, dec)
    answer = match(positions, catalogs.current("made"))
    statuses = pc.value_counts(answer["status"]).to_pylist()
    assert {one["values"] for one in statuses} == {"match", "none"}
    assert_as_astropy(answer, positions, SkyCoord(*sources, unit="deg"), RADIUS)


@st.composite
def anywhere(draw: st.DrawFn) -> tuple[float, float, float, float]:
    """Something near one of the hard places: its number, and where from there."""
    return (
        draw(st.integers(0, 2**20)),
        draw(st.floats(0, 360)),
        draw(st.sampled_from([0.0, RADIUS, 1.0, 0.001, 10.0])),
        draw(st.floats(0, 1)),
    )


@settings(max_examples=examples(20))
@given(st.lists(anywhere(), min_size=1, max_size=30), st.booleans())
def test_astropys_answers_wherever_the_alerts_are(
    catalogs: Catalogs,
    sources: Sky,
    places: list[tuple[int, float, float, float]],
    negative: bool,
) -> None:
    which, angle, scale, share = (np.array(values) for values in zip(*places, strict=True))
    which = which.astype(int) % len(sources[0])
    near = SkyCoord(sources[0][which], sources[1][which], unit="deg")
    here = near.directional_offset_by(angle * units.deg, scale * share * units.arcsec)
    ra = here.ra.deg - 360.0 if negative else here.ra.deg
    positions = alerts(ra, here.dec.deg)
    answer = match(positions, catalogs.current("made"))
    assert_as_astropy(answer, positions, SkyCoord(*sources, unit="deg"), RADIUS)


@settings(max_examples=examples(6))
@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 50]), st.sampled_from([0.5, 60.0, 600.0]))
def test_astropys_answers_for_any_catalogue(
    tmp_path_factory: pytest.TempPathFactory, seed: int, shard_rows: int, radius: float
) -> None:
    """Sources in a patch and alone in an empty sky; alerts beside them, over every border."""
    rng = np.random.default_rng(seed)
    ra = np.concatenate([rng.uniform(0, 360, 30), 40 + rng.uniform(0, 2, 300)])
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, 30)))
    dec = np.concatenate([dec, 41 + rng.uniform(0, 2, 300)])
    catalogs = made(
        tmp_path_factory.mktemp("any"),
        ra,
        dec,
        radius_arcsec=radius,
        catalog={"shard_rows": shard_rows},
    )
    near = SkyCoord(np.tile(ra, 3), np.tile(dec, 3), unit="deg")
    here = near.directional_offset_by(
        rng.uniform(0, 360, len(near)) * units.deg,
        rng.uniform(0, 2 * radius, len(near)) * units.arcsec,
    )
    positions = alerts(here.ra.deg, here.dec.deg)
    answer = match(positions, catalogs.current("made"))
    assert_as_astropy(answer, positions, SkyCoord(ra, dec, unit="deg"), radius)


def test_there_are_alerts_of_which_only_the_margin_knows(catalogs: Catalogs, sources: Sky) -> None:
    """Else the test above would pass without margins."""
    catalog = catalogs.current("made")
    ra, dec = crowded(hard_places(), seed=2, each=20)
    answer = match(alerts(ra, dec), catalog)
    matched = pc.equal(answer["status"], "match").to_numpy()
    ids = [row["id"] for row in answer["nearest"].to_pylist() if row]
    of_alerts = catalog.shards_of(sky_index(ra % 360, dec))[matched]
    of_sources = catalog.shards_of(sky_index(sources[0] % 360, sources[1]))[ids]
    assert np.sum(of_alerts != of_sources) > 20


def test_of_sources_at_the_same_place_the_first_is_the_nearest(tmp_path: Path) -> None:
    catalogs = made(tmp_path, [10.0, 80.0, 80.0, 80.0], [5.0, -3.0, -3.0, -3.0])
    (answer,) = match(alerts([80.0], [-3.0]), catalogs.current("made")).to_pylist()
    assert (answer["number"], answer["nearest"]["id"]) == (3, 1)
    assert answer["separation_arcsec"] == 0.0


def test_what_has_no_position_is_not_checked(tmp_path: Path) -> None:
    catalogs = made(tmp_path, [10.0], [5.0])
    nowhere = [(None, 5.0), (10.0, None), (np.nan, 5.0), (10.0, np.inf), (10.0, 90.1)]
    positions = alerts(*zip(*nowhere, (10.0, 5.0), (11.0, 5.0), strict=True))
    answer = match(positions, catalogs.current("made"))
    assert answer["status"].to_pylist() == ["not_checked"] * 5 + ["match", "none"]
    assert answer["reason"].to_pylist() == ["no_position"] * 5 + [None, None]
    assert answer["number"].to_pylist() == [None] * 5 + [1, 0]
    assert answer["version"].to_pylist() == ["1"] * 7
    assert answer["nearest"].null_count == 6


def test_an_empty_catalogue_has_no_source_anywhere(tmp_path: Path) -> None:
    catalogs = made(tmp_path, [], [])
    answer = match(alerts([10.0, None], [5.0, 5.0]), catalogs.current("made"))
    assert answer["status"].to_pylist() == ["none", "not_checked"]


def test_no_alerts_no_answers(catalogs: Catalogs) -> None:
    catalog = catalogs.current("made")
    answer = match(alerts([], []), catalog)
    assert answer.num_rows == 0
    assert answer.schema == answer_schema(catalog)


def test_a_catalogue_that_cannot_be_read_is_no_reason_for_none(tmp_path: Path) -> None:
    catalogs = made(tmp_path, [10.0, 190.0], [5.0, 5.0])
    catalog = catalogs.current("made")
    victim = sky_index(np.array([10.0]), np.array([5.0]))[0] >> 58
    for leaf in tmp_path.glob(f"made/versions/1/main/dataset/**/Npix={victim}.parquet"):
        leaf.write_bytes(b"PAR1 no more")
    answer = match(alerts([10.0, 190.0, 11.0], [5.0, 5.0, 5.0]), catalog)
    assert answer["status"].to_pylist() == ["not_checked", "match", "not_checked"]
    assert answer["reason"].to_pylist() == ["catalog_unreadable", None, "catalog_unreadable"]


def test_a_new_version_is_picked_up_between_two_batches(tmp_path: Path) -> None:
    catalogs = made(tmp_path, [10.0], [5.0])
    here = alerts([10.0, 20.0], [5.0, 5.0])
    first = match_current(here, catalogs, "made")
    made(tmp_path, [20.0], [5.0], version="2")
    second = match_current(here, catalogs, "made")
    assert first["version"].to_pylist() == ["1", "1"]
    assert first["status"].to_pylist() == ["match", "none"]
    assert second["version"].to_pylist() == ["2", "2"]
    assert second["status"].to_pylist() == ["none", "match"]
    catalogs.store.use("made", "1")
    assert match_current(here, catalogs, "made").equals(first)


def test_a_version_removed_while_it_is_used_costs_no_answer(tmp_path: Path) -> None:
    catalogs = made(tmp_path, [10.0], [5.0])
    old = catalogs.current("made")
    made(tmp_path, [10.0], [5.0], version="2")
    catalogs.store.remove("made", "1")

    class AskedBefore(Catalogs):
        """Says the old version once more, as if it had been asked just before the swap."""

        asked = 0

        def current(self, name: str):  # type: ignore[no-untyped-def]
            self.asked += 1
            return old if self.asked == 1 else super().current(name)

    late = AskedBefore(tmp_path, 1_000_000)
    answer = match_current(alerts([10.0], [5.0]), late, "made")
    assert answer["status"].to_pylist() == ["match"]
    assert answer["version"].to_pylist() == ["2"]


def test_a_catalogue_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="finkray catalog add"):
        match_current(alerts([1.0], [1.0]), Catalogs(tmp_path, 1), "nothing")


def test_a_catalogue_larger_than_the_memory_gives_the_same_answers(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    ra, dec = rng.uniform(0, 360, 40_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 40_000)))
    wide = made(tmp_path, ra, dec, catalog={"shard_rows": 500}, radius_arcsec=60.0)
    whole = wide.current("made")
    here = alerts(rng.uniform(0, 360, 5000), np.degrees(np.arcsin(rng.uniform(-1, 1, 5000))))
    expected = match(here, whole)
    everything = wide.memory.use.held_bytes
    narrow = Catalogs(tmp_path, everything // 10)
    for _ in range(3):
        assert match(here, narrow.current("made")).equals(expected)
    use = narrow.memory.use
    assert use.peak_bytes <= everything // 10
    assert use.loads > 2 * wide.memory.use.loads


def test_shards_are_read_where_the_alerts_are_and_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    ra, dec = rng.uniform(0, 360, 40_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 40_000)))
    catalogs = made(tmp_path, ra, dec, catalog={"shard_rows": 500})
    exposure = alerts(150 + rng.uniform(0, 7, 1000), 2 + rng.uniform(0, 7, 1000))
    catalog = catalogs.current("made")
    assert catalogs.memory.use.loads == 0
    match(exposure, catalog)
    loads = catalogs.memory.use.loads
    assert 0 < loads < 12
    match(exposure, catalog)
    assert catalogs.memory.use.loads == loads


MJD_OF_2026 = 61_109.0


@pytest.fixture(scope="module")
def hipparcos(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Catalogs:
    import pyarrow.parquet as pq

    table = pq.read_table(test_data / "catalogs" / "hipparcos2.parquet")
    return made(
        tmp_path_factory.mktemp("hipparcos"),
        table["ra"].to_numpy(),
        table["dec"].to_numpy(),
        columns={"pmra": table["pmra"], "pmdec": table["pmdec"]},
        catalog={"shard_rows": 20_000},
        position={"epoch_year": 1991.25},
        proper_motion={"ra": "pmra", "dec": "pmdec"},
    )


def moved(test_data: Path, mjd: float) -> SkyCoord:
    """All stars of Hipparcos at a time, by astropy."""
    import pyarrow.parquet as pq

    table = pq.read_table(test_data / "catalogs" / "hipparcos2.parquet")
    then = SkyCoord(
        ra=table["ra"].to_numpy() * units.deg,
        dec=table["dec"].to_numpy() * units.deg,
        pm_ra_cosdec=table["pmra"].to_numpy() * units.mas / units.yr,
        pm_dec=table["pmdec"].to_numpy() * units.mas / units.yr,
        distance=Distance(10 * units.pc),
        obstime=Time("J1991.25", scale="tai"),
    )
    return then.apply_space_motion(new_obstime=Time(mjd, format="mjd", scale="tai"))


# No leap seconds are known for the year 2034 of the last one.
@pytest.mark.filterwarnings("ignore:ERFA function .* yielded .*dubious year:UserWarning")
@pytest.mark.parametrize("mjd", [MJD_OF_2026, 51_544.5, 64_000.0])
def test_stars_are_where_astropy_carries_them(
    hipparcos: Catalogs, test_data: Path, mjd: float
) -> None:
    """Within 1 mas, for the fastest stars of the sky and some thousands of others."""
    stars = moved(test_data, mjd)
    speed = hipparcos_speed(test_data)
    chosen = np.union1d(np.argsort(speed)[-500:], np.arange(0, len(stars), 50))
    ra, dec = stars.ra.deg[chosen], stars.dec.deg[chosen]
    answer = match(alerts(ra, dec, np.full(len(chosen), mjd)), hipparcos.current("made"))
    assert pc.all(pc.equal(answer["status"], "match")).as_py()
    assert max(answer["separation_arcsec"].to_pylist()) < 0.001
    nearest = pc.struct_field(answer["nearest"].combine_chunks(), "id").to_numpy()
    assert np.mean(nearest == chosen) > 0.99, "double stars may have the same place"


def hipparcos_speed(test_data: Path) -> np.ndarray:
    import pyarrow.parquet as pq

    table = pq.read_table(test_data / "catalogs" / "hipparcos2.parquet")
    return np.hypot(table["pmra"].to_numpy(), table["pmdec"].to_numpy())


def test_without_its_motion_barnards_star_would_be_missed(
    hipparcos: Catalogs, test_data: Path
) -> None:
    barnard = int(np.argmax(hipparcos_speed(test_data)))
    now = moved(test_data, MJD_OF_2026)[barnard]
    then = moved(test_data, 48_349.0625)[barnard]
    assert now.separation(then).arcsec > 300
    here = alerts([now.ra.deg] * 2, [now.dec.deg] * 2, [MJD_OF_2026, 48_349.0625])
    answer = match(here, hipparcos.current("made"))
    assert answer["status"].to_pylist() == ["match", "none"]
    assert answer["nearest"].to_pylist()[0]["id"] == barnard


def test_where_sources_move_an_alert_must_say_when_it_was(hipparcos: Catalogs) -> None:
    here = alerts([10.0] * 4, [5.0] * 4, [None, np.nan, 90_000.0, MJD_OF_2026])
    answer = match(here, hipparcos.current("made"))
    assert answer["reason"].to_pylist() == ["no_time", "no_time", "time_out_of_range", None]
    assert answer["status"].to_pylist() == ["not_checked"] * 3 + ["none"]


def test_carried_columns_come_in_their_types(tmp_path: Path) -> None:
    catalogs = made(
        tmp_path,
        [10.0, 20.0],
        [5.0, 5.0],
        columns={"kind": ["RR  ", None], "mag": pa.array([1.5, None], pa.float32())},
        catalog={"columns": ("kind", "mag"), "id": "id"},
    )
    answer = match(alerts([10.0, 20.0, 30.0], [5.0] * 3), catalogs.current("made"))
    first, second, third = answer["nearest"].to_pylist()
    assert first == {"ra_deg": 10.0, "dec_deg": 5.0, "id": 0, "kind": "RR", "mag": 1.5}
    assert (second["kind"], second["mag"]) == (None, None)
    assert third is None
    assert answer.schema.field("nearest").type.field("mag").type == pa.float32()
