"""The ranking of a night: a fold that may be killed, calibrated by the night, one row an object."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import finkray
from actors.outliers import OUTLIERS
from finkray.errors import ServiceError
from finkray.outliers import ranking
from finkray.outliers.listing import LISTED, ListRequest, listed, outliers_of
from finkray.outliers.ranking import (
    BAD_QUALITY,
    RANKING_PATH,
    NightGroup,
    Ranking,
    Rankings,
    contexts_named,
)
from finkray.services.contract import RESULT_COLUMNS
from finkray.storage.local import LocalStorage
from jobs.commands.outliers import list_lines
from tests.support.commands import Finkray
from tests.support.examples import examples
from tests.support.ledgers import quick_storage
from tests.support.parity import FIRST, SECOND, Parity, classify_all
from tests.support.scored_archive import made_row, put_scored, scores_of, whole_list
from tests.support.small_archives import SmallArchive


class Classified(Parity):
    """Gives the name of `classify` to the classes of `Parity`."""

    name = "classify"

    def process(self, alerts: pa.Table) -> pa.Table:
        offsets = alerts["kafka_offset"].to_pylist()
        names = [("even", "odd")[offset % 2] for offset in offsets]
        nothing = pa.nulls(len(offsets))
        return pa.table([names, nothing, nothing], names=self.output.names).cast(self.output)


ACTIONS = st.lists(st.sampled_from(["put", "fold", "keep", "killed"]), min_size=3, max_size=8)


@settings(max_examples=examples(10))
@given(actions=ACTIONS)
def test_whatever_is_killed_when_the_list_is_the_same(actions: list[str]) -> None:
    with quick_storage() as storage:
        small = SmallArchive(storage)
        put_scored(small, 0, FIRST)
        fold, offset = Ranking(scores_of(small)), 20
        for action in actions:
            if action == "put":
                put_scored(small, offset, (FIRST, SECOND)[offset // 20 % 2])
                offset += 20
            elif action == "fold":
                fold.catch_up(1)
            elif action == "keep":
                fold.keep()
            else:
                fold = Ranking(scores_of(small))
        fold.catch_up(100)
        anew = Ranking(scores_of(small))
        anew.rebuild()
        anew.catch_up(100)
        for night in (FIRST, SECOND):
            assert whole_list(fold, night).equals(whole_list(anew, night))
        assert fold.dump("1:0:0") == anew.dump("1:0:0")


def test_an_object_is_one_row_with_its_highest_score_and_reasons(small: SmallArchive) -> None:
    put_scored(small, 0, FIRST)
    put_scored(small, 20, FIRST)
    table = outliers_of(small.storage, night=None, top=50, context=None, survey="ztf", keep=True)
    assert table.schema == LISTED
    scored = [offset for offset in range(40) if offset % 10 != 9]
    best: dict[str, tuple[bool, float]] = {}
    for offset in scored:
        name = f"ZTF{offset % 13}"
        good_and_score = (offset % 7 != 0, float(made_row(offset)["score"]))  # type: ignore[arg-type]
        best[name] = max(best.get(name, (False, -9.0)), good_and_score)
    rows = table.to_pylist()
    of_object = {row["object_id"]: (not row["bad_image"], row["score"]) for row in rows}
    assert of_object == best
    good = [row["plain_score"] for row in rows if not row["bad_image"]]
    assert good == sorted(good, reverse=True)
    bad = [row["bad_image"] for row in rows]
    assert bad == sorted(bad), "bad images come last"
    assert all((row["quality"] <= BAD_QUALITY) == row["bad_image"] for row in rows)
    assert rows[0]["reasons"] == [
        "colour g-r of the difference within 1.5 days 2 mag: 0.2 % of alerts are as high"
    ]
    assert scores_of(small).storage.read(RANKING_PATH)
    archive = finkray.open_archive(small.storage.uri)
    assert archive.outliers("2026-11-23", top=50).equals(table)
    few = archive.outliers(top=3, context="transient-like")
    assert set(few["context"].to_pylist()) <= {"galaxy", "unknown", "nothing"}
    assert set(table["class"].to_pylist()) == {None}
    assert set(table["similar_class"].to_pylist()) == {None}
    with pytest.raises(ServiceError, match="classes cannot be muted: there are no results"):
        archive.outliers(mute=["odd"])
    classify_all(small, Classified())
    unmuted = archive.outliers(top=50).to_pylist()
    assert all(row["class"] == ("even", "odd")[row["alert_id"] % 2] for row in unmuted)
    assert {(row["similar_alert_id"], row["similar_class"]) for row in unmuted} == {(9, "odd")}
    lines = list(list_lines(archive.outliers(top=1), None))
    assert lines[-1] == "       most like alert 9: odd"
    even = archive.outliers(top=4, mute=["odd"])
    assert even["rank"].to_pylist() == [1, 2, 3, 4]
    kept = [row["object_id"] for row in unmuted if row["class"] == "even"]
    assert even["object_id"].to_pylist() == kept[:4]
    with pytest.raises(ValueError, match="'planet' is no context: expected one of"):
        archive.outliers(context="planet")
    with pytest.raises(ValueError, match="'atlas' is no survey"):
        archive.outliers(survey="atlas")


def test_the_list_as_csv_has_the_rows_of_json_and_no_formula(
    finkray: Finkray, tmp_path: Path
) -> None:
    formulas = [
        '=HYPERLINK("http://example.org")',
        "+1+1",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
    ]
    ids = [*formulas, *(f'ZTF{n}, "{n}"' for n in range(13))]
    small = SmallArchive(LocalStorage(tmp_path / "archive"))
    put_scored(small, 0, FIRST, ids)
    words = ("outliers", "list", "--top", "50")
    printed = finkray(*words, "--csv")
    assert printed.returncode == 0, printed.stderr
    in_csv = list(csv.DictReader(io.StringIO(printed.stdout, newline="")))
    in_json = json.loads(finkray(*words, "--json").stdout)
    assert {row["object_id"] for row in in_json} >= {*formulas, ids[-2]}
    for cells, row in zip(in_csv, in_json, strict=True):
        assert list(cells) == list(row) == LISTED.names
        for name, value in row.items():
            cell = cells[name]
            if value is None:
                assert cell == ""
            elif isinstance(value, str):
                assert cell == (f"'{value}" if value in formulas else value)
            else:
                assert json.loads(cell) == value, name
            if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
                float(cell)  # a number is no formula


def test_rankings_follow_all_results_with_scores_and_no_others(small: SmallArchive) -> None:
    put_scored(small, 0, FIRST)
    classify_all(small, Classified())
    rankings = Rankings(small.storage)
    assert rankings.refresh(100) == {("outliers", "1"): 1}
    rankings.keep(("outliers", "1"))
    kept = Ranking.parse(scores_of(small).storage.read(RANKING_PATH) or b"").state
    assert [(group.night, group.model) for group in kept.groups] == [("2026-11-23", "abc")]
    assert outliers_of(small.storage, night=None, top=3, context=None, survey=None).num_rows == 3


def group(night: str, scores: np.ndarray, model: str = "m") -> NightGroup:
    out = NightGroup("ztf", night, model)
    out.add(group_rows(night, scores))
    return out


def group_rows(night: str, scores: np.ndarray, *, first: int = 0) -> pa.Table:
    rows = [
        {
            **made_row(number, context="star", quality=0.5),
            "plain_score": score,
            "score": score,
            "p_model": 0.5,
            "object_id": f"{night}-{number}",
            "alert_id": number,
            "kafka_topic": "ztf",
            "kafka_partition": 0,
            "kafka_offset": number,
        }
        for number, score in enumerate(scores.tolist(), start=first)
    ]
    keys = [field for field in RESULT_COLUMNS if field.name in rows[0]]
    return pa.Table.from_pylist(rows, pa.schema([*OUTLIERS, *keys]))


def test_p_values_of_a_night_are_those_of_the_night_and_not_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ranking, "OBJECTS_KEPT", 5000)
    rng = np.random.default_rng(1)
    calm, wild = rng.normal(0, 1, 3000), rng.normal(2, 2, 3000)
    groups = {
        ("ztf", night, "m"): group(night, scores)
        for night, scores in (("2026-11-23", calm), ("2026-11-24", wild))
    }
    for night in ("2026-11-23", "2026-11-24"):
        p = listed(groups, ListRequest(night, 5000, contexts_named(None)))["p_night"].to_numpy()
        assert 0.045 <= np.mean(p <= 0.05) <= 0.055
        assert 0.005 <= np.mean(p <= 0.01) <= 0.015


def test_a_night_that_has_just_begun_is_compared_with_the_nights_before() -> None:
    rng = np.random.default_rng(2)
    before = group("2026-11-23", rng.normal(size=3000))
    begun = group("2026-11-24", np.array([0.1, 6.0]))
    groups = {("ztf", each.night, "m"): each for each in (before, begun)}
    rows = listed(groups, ListRequest(None, 5, contexts_named(None))).to_pylist()
    assert [row["score"] for row in rows] == [6.0, 0.1]
    assert rows[0]["p_night"] < 0.001
    assert 0.4 < rows[1]["p_night"] < 0.6
    alone = listed({("ztf", "2026-11-24", "m"): begun}, ListRequest(None, 5, contexts_named(None)))
    assert alone["p_night"].to_pylist() == [2 / 3, 1.0]


def test_of_a_night_the_strangest_objects_are_kept_and_all_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ranking, "OBJECTS_KEPT", 5)
    scores = np.random.default_rng(3).normal(size=100)
    one = group("2026-11-24", scores[:60])
    one.add(group_rows("2026-11-24", scores[60:], first=60))
    kept = sorted(each.plain_score for each in one.candidates())
    assert kept == np.sort(scores)[-5:].tolist()
    rows = listed({("ztf", "2026-11-24", "m"): one}, ListRequest(None, 50, contexts_named(None)))
    assert rows["plain_score"].to_pylist() == kept[::-1]
    assert rows["p_night"].to_pylist()[0] <= 3 / 101


def test_half_of_a_list_stays_without_thumbs() -> None:
    one = group("2026-11-24", np.arange(30.0))
    liked = [
        each.model_copy(update={"score": 40.0 - each.plain_score}) for each in one.candidates()
    ]
    taught = NightGroup("ztf", "2026-11-24", "m")
    taught.plain = one.plain
    taught._keep(liked)
    table = listed(
        {("ztf", "2026-11-24", "m"): taught}, ListRequest(None, 10, contexts_named(None))
    )
    assert table["order"].to_pylist() == ["score", "thumbs"] * 5
    plain = [row["plain_score"] for row in table.to_pylist() if row["order"] == "score"]
    thumbs = [row["plain_score"] for row in table.to_pylist() if row["order"] == "thumbs"]
    assert (plain, thumbs) == ([29, 28, 27, 26, 25], [0, 1, 2, 3, 4])
