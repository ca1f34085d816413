"""The rules of classification as tables."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.classes import CLASSES, TypeAnswer, classes
from actors.object_types import GALAXIES, simbad_type
from finkray.adapter import NEIGHBOUR, SOLAR_SYSTEM

Source = tuple[str, float] | str | None
"""A type and a separation in arcsec; or why it was not checked; or nothing there."""


def answer(catalog: str, *sources: Source, version: str = "1") -> TypeAnswer:
    """The answers of a catalogue with SIMBAD's types."""
    there = [one if isinstance(one, tuple) else None for one in sources]
    texts = [one[0] if one else None for one in there]
    return TypeAnswer(
        catalog=catalog,
        version=version,
        status=pa.array(
            [
                "match" if found else "not_checked" if one else "none"
                for one, found in zip(sources, there, strict=True)
            ],
            pa.string(),
        ),
        reason=pa.array([one if isinstance(one, str) else None for one in sources], pa.string()),
        separation_arcsec=pa.array([one[1] if one else None for one in there], pa.float64()),
        texts=pa.array(texts, pa.string()),
        types=pa.array([simbad_type("simbad", text) for text in texts], pa.string()),
    )


def classified(
    *catalogs: TypeAnswer,
    solar: tuple[str | None, float | None] | None = None,
    neighbour: tuple[float, float] | None = None,
) -> dict[str, object]:
    """The answer about one alert."""
    name, offset = solar or (None, None)
    known = pa.table([[solar is not None], [name], [offset]], schema=SOLAR_SYSTEM)
    score, near = neighbour or (None, None)
    table = classes(known, pa.table([[score], [near]], schema=NEIGHBOUR), catalogs)
    assert table.schema == CLASSES
    (row,) = table.to_pylist()
    return dict(row)


GALAXY_NEAR = (0.03, 1.2)
NOTHING_THERE = answer("simbad", None)


@pytest.mark.parametrize(
    ("catalogs", "packet", "name", "rule"),
    [
        # 1: what the packet knows stands before all.
        (
            [answer("simbad", ("RR*", 0.2))],
            {"solar": ("Vesta", 0.44), "neighbour": GALAXY_NEAR},
            "Solar System",
            "the packet names Vesta, 0.4 arcsec from where it must be",
        ),
        (
            [],
            {"solar": (None, None)},
            "Solar System",
            "the packet says that it is a known object",
        ),
        # 2: sources with a type.
        ([answer("simbad", ("RR*", 0.214))], {}, "RR*", "RR* in simbad 1, 0.21 arcsec away"),
        (
            [answer("simbad", ("EmG", 0.9))],
            {},
            "galaxy host candidate",
            "a galaxy, EmG in simbad 1, 0.90 arcsec away",
        ),
        ([answer("simbad", ("Sy1", 0.9))], {}, "Sy1", "Sy1 in simbad 1, 0.90 arcsec away"),
        ([answer("a", ("QSO", 0.9)), answer("b", ("EB*", 0.8))], {}, "EB*", "EB* in b 1, "),
        ([answer("a", ("QSO", 0.9)), answer("b", ("*", 0.1))], {}, "QSO", "QSO in a 1, "),
        ([answer("a", None), answer("b", ("*", 0.1))], {}, "*", "* in b 1, "),
        ([answer("a", "no_position"), answer("b", ("EB*", 0.1))], {}, "EB*", "EB* in b 1, "),
        # 3: somebody was not asked, so nothing can be said for want of a source.
        ([], {}, "not checked", "no catalogue that tells types is built"),
        (
            [answer("a", "catalog_unreadable"), NOTHING_THERE],
            {"neighbour": GALAXY_NEAR},
            "not checked",
            "a 1: catalog_unreadable",
        ),
        (
            [answer("a", "no_position"), answer("b", "no_time", version="2")],
            {},
            "not checked",
            "a 1: no_position, b 2: no_time",
        ),
        # 4: the packet's neighbour.
        (
            [NOTHING_THERE],
            {"neighbour": GALAXY_NEAR},
            "galaxy host candidate",
            "the nearest source of Pan-STARRS, 1.2 arcsec away, looks like a galaxy",
        ),
        (
            [answer("a", ("?", 0.1))],
            {"neighbour": GALAXY_NEAR},
            "galaxy host candidate",
            "the near",
        ),
        # 5: nothing.
        ([NOTHING_THERE], {"neighbour": (0.03, 3.1)}, "Unknown", "no source with a type in "),
        ([NOTHING_THERE], {"neighbour": (0.5, 0.1)}, "Unknown", "no source with a type in "),
        ([NOTHING_THERE], {}, "Unknown", "no source with a type in simbad 1"),
        ([answer("a", ("?", 0.1))], {}, "Unknown", "no source with a type in a 1"),
    ],
)
def test_the_first_rule_that_holds_gives_the_class(
    catalogs: list[TypeAnswer], packet: dict[str, tuple[float, float]], name: str, rule: str
) -> None:
    row = classified(*catalogs, **packet)  # type: ignore[arg-type]
    assert row["class"] == name
    assert str(row["rule"]).startswith(rule)


def test_the_source_that_gave_the_class_is_named_and_no_other() -> None:
    row = classified(answer("a", ("QSO", 0.9)), answer("b", ("EB*", 0.8), version="2026-11"))
    assert (row["catalog"], row["catalog_version"]) == ("b", "2026-11")
    assert (row["catalog_type"], row["separation_arcsec"]) == ("EB*", 0.8)
    solar = classified(answer("a", ("QSO", 0.9)), solar=("Vesta", 0.1))
    assert [solar[name] for name in CLASSES.names[2:6]] == [None] * 4


def test_every_catalogue_that_was_asked_is_in_the_answer() -> None:
    row = classified(answer("a", ("QSO", 0.9)), answer("b", "no_time"), answer("c", None))
    assert row["checked"] == [
        {"catalog": "a", "version": "1", "status": "match", "reason": None},
        {"catalog": "b", "version": "1", "status": "not_checked", "reason": "no_time"},
        {"catalog": "c", "version": "1", "status": "none", "reason": None},
    ]
    assert classified()["checked"] == []


def test_a_batch_is_answered_row_by_row_and_may_be_empty() -> None:
    sources: list[Source] = [("RR*", 0.1), None, "no_position", ("G", 1.0)]
    known = pa.table([[False] * 4, [None] * 4, [None] * 4], schema=SOLAR_SYSTEM)
    near = pa.table([[None] * 4, [None] * 4], schema=NEIGHBOUR)
    table = classes(known, near, [answer("a", *sources)])
    assert table["class"].to_pylist() == ["RR*", "Unknown", "not checked", "galaxy host candidate"]
    nothing = classes(known.slice(0, 0), near.slice(0, 0), [answer("a")])
    assert (nothing.num_rows, nothing.schema) == (0, CLASSES)


TYPES = st.sampled_from(["RR*", "QSO", "G", "*", "X", "?"])
SOURCES = st.one_of(
    st.none(),
    st.sampled_from(["no_position", "catalog_unreadable"]),
    st.tuples(TYPES, st.floats(0, 2)),
)
PACKETS = st.tuples(st.booleans(), st.none() | st.floats(0, 1), st.floats(0, 9))


@given(data=st.data(), catalogs=st.integers(0, 3), alerts=st.integers(1, 6))
def test_what_is_said_of_an_alert_does_not_hang_on_those_beside_it(
    data: st.DataObject, catalogs: int, alerts: int
) -> None:
    rows = st.lists(SOURCES, min_size=alerts, max_size=alerts)
    sources = [data.draw(rows) for _ in range(catalogs)]
    packets = data.draw(st.lists(PACKETS, min_size=alerts, max_size=alerts))
    known = pa.table(
        [[solar for solar, _, _ in packets], ["Vesta"] * alerts, [0.1] * alerts],
        schema=SOLAR_SYSTEM,
    )
    neighbours = pa.table(
        [
            [score for _, score, _ in packets],
            [None if score is None else near for _, score, near in packets],
        ],
        schema=NEIGHBOUR,
    )
    together = classes(known, neighbours, [answer(f"c{n}", *one) for n, one in enumerate(sources)])
    for row in range(alerts):
        alone = classes(
            known.slice(row, 1),
            neighbours.slice(row, 1),
            [answer(f"c{n}", one[row]) for n, one in enumerate(sources)],
        )
        assert alone.to_pylist() == together.slice(row, 1).to_pylist()


@pytest.mark.parametrize(
    ("words", "text", "kind"),
    [
        ("simbad", "RR*", "RR*"),
        ("simbad", "a type of 2031", "a type of 2031"),
        ("simbad", "?", None),
        ("simbad", None, None),
        ("gcvs", "RRAB   ", "RR*"),
        ("gcvs", "EA/SD+DSCT:", "EB*"),
        ("gcvs", "DCEP(B)", "cC*"),
        ("gcvs", "UGSU+ZAND", "CV*"),
        ("gcvs", "M:", "Mi*"),
        ("gcvs", "*", "V*"),
        ("gcvs", "HYPER", None),
        ("gcvs", "HYPER+M", "Mi*"),
        ("vsx", "ROT|RRAB", "Ro*"),
        ("vsx", "UGSU/IBWD", "CV*"),
        ("4lac", "FSRQ", "Bla"),
        ("4lac", "bll", "BLL"),
        ("4lac", "new", None),
    ],
)
def test_types_of_catalogues_become_those_of_simbad(
    words: str, text: str | None, kind: str | None
) -> None:
    assert simbad_type(words, text) == kind  # type: ignore[arg-type]


def test_all_of_the_gcvs_has_a_type_of_simbad_but_for_stars_without_any(test_data: object) -> None:
    kinds = pq.read_table(f"{test_data}/catalogs/gcvs.parquet", columns=["VarType"])["VarType"]
    unread = {text.strip() for text in kinds.unique().to_pylist() if not simbad_type("gcvs", text)}
    assert unread == {""}


def test_no_galaxy_is_of_a_type_that_says_little() -> None:
    assert "QSO" not in GALAXIES
    assert "AGN" not in GALAXIES
