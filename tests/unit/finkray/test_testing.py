"""What the authors of services test with."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import finkray
import finkray.testing
from finkray.errors import ServiceError
from finkray.packets.columns import ADDED_COLUMNS
from finkray.services.messages import Spec
from finkray.serving.check import Finding, check_service
from finkray.surveys import ZTF
from jobs.generators.sample_alerts import sample_alerts
from tests.support.limits import default_limits
from tests.support.services import Double, Throwing

ROOT = str(Path(__file__).parents[3])


def test_the_alerts_are_those_that_the_simulator_makes() -> None:
    assert finkray.testing.alerts().equals(sample_alerts())


def test_the_alerts_are_as_the_archive_has_them() -> None:
    alerts = finkray.testing.alerts(100)
    assert len(alerts) == 100
    assert alerts.schema.names[: len(ADDED_COLUMNS)] == ADDED_COLUMNS.names
    assert ZTF.missing(alerts.schema) == []
    assert pc.max(pc.list_value_length(alerts["prv_candidates"])).as_py() > 3
    images = pc.struct_field(alerts["cutoutScience"], "stampData")
    assert images.null_count == len(images) - 4


@pytest.mark.parametrize("service", [Double, Double(), "tests.support.services:Double"])
def test_a_service_runs_without_ray_or_an_archive(service: object) -> None:
    results = finkray.testing.run(service)  # type: ignore[arg-type]
    assert results["double"].to_pylist() == [2 * n for n in range(120)]
    assert set(results["status"].to_pylist()) == {"ok"}
    assert results["object_id"].to_pylist() == finkray.testing.alerts()["objectId"].to_pylist()


def test_alerts_on_which_a_service_fails_are_marked() -> None:
    results = finkray.testing.run(Throwing)
    errors = results.filter(pc.field("status") == "error")
    assert errors["kafka_offset"].to_pylist() == list(range(7, 120, 10))
    assert errors["reason"][0].as_py() == "raised: ValueError: cannot stand 7"
    assert errors["double"].null_count == len(errors)


def test_what_a_service_raises_on_everything_comes_through() -> None:
    class Wrong(Double):
        def meet(self, offset: int) -> None:
            raise LookupError(offset)

    with pytest.raises(LookupError):
        finkray.testing.run(Wrong)


class Bright(finkray.Service):
    """Whether an alert is bright."""

    columns = ("candidate.magpsf",)
    output = pa.schema([("bright", pa.bool_())])
    version = "1"

    def process(self, alerts: pa.Table) -> pa.Table:
        return pa.table({"bright": pc.less(alerts["candidate.magpsf"], 18.0)})


class Brighter(finkray.Service):
    """Whether an alert is bright, and what another service says of it."""

    columns = ("candidate.magpsf", "bright.bright", "other.flag")
    output = pa.schema([("both", pa.bool_()), ("flag", pa.bool_())])
    needs = ("bright",)
    uses = ("other",)
    version = "1"

    def process(self, alerts: pa.Table) -> pa.Table:
        both = pc.and_(alerts["bright.bright"], pc.less(alerts["candidate.magpsf"], 19.0))
        return pa.table({"both": both, "flag": alerts["other.flag"].cast(pa.bool_())})


def test_results_of_another_service_are_given_as_inputs() -> None:
    bright = finkray.testing.run(Bright)
    results = finkray.testing.run(Brighter, inputs={"bright": bright.slice(10)})
    assert results["both"].to_pylist()[:10] == [None] * 10
    assert results["both"].to_pylist()[10:] == bright["bright"].to_pylist()[10:]
    assert results["flag"].null_count == len(results)


def test_needed_results_that_are_not_given_are_refused() -> None:
    with pytest.raises(ServiceError, match=r"brighter needs the results \['bright'\]"):
        finkray.testing.run(Brighter)


# The check.

PROMISES = ["loads", "pickles", "columns", "schema and rows", "order", "nulls", "cost"]


def findings(name: str, tmp_path: Path, source: str = "", **limits: float) -> dict[str, Finding]:
    (tmp_path / "checked.py").write_text(HEAD + source)
    spec = Spec(f"checked:{name}", str(tmp_path))
    found = check_service(spec, default_limits(**limits), finkray.testing.alerts(40))
    return {one.name: one for one in found}


HEAD = """
import os, threading, time
import finkray, pyarrow as pa, pyarrow.compute as pc

class Good(finkray.Service):
    columns = ["candidate.magpsf"]
    output = pa.schema([("bright", pa.bool_())])
    def process(self, alerts):
        return self.answer(alerts["candidate.magpsf"])
    def answer(self, magnitudes):
        return pa.table({"bright": pc.less(magnitudes, 18.0)})
"""


def test_a_good_service_keeps_every_promise(tmp_path: Path) -> None:
    found = findings("Good", tmp_path)
    assert list(found) == PROMISES
    assert all(one.ok for one in found.values())
    assert "alerts/s a core" in found["cost"].detail


def test_what_the_size_of_a_batch_rounds_away_is_no_other_answer(tmp_path: Path) -> None:
    answer = (
        "answer = lambda self, m: pa.table({'bright': "
        "pc.multiply(pc.cast(m, pa.float64()), 1 + 1e-9 * len(m))})"
    )
    output = "output = pa.schema([('bright', pa.float64())])"
    found = findings("Sum", tmp_path, f"\nclass Sum(Good):\n    {output}\n    {answer}\n")
    assert found["order"].ok, found["order"].detail


def test_code_that_was_not_tried_has_no_yes(tmp_path: Path) -> None:
    columns = "['candidate.magpfs', 'candidate.rb']"
    found = findings("Typo", tmp_path, f"\nclass Typo(Good):\n    columns = {columns}\n")
    assert [name for name, one in found.items() if one.ok] == ["loads", "pickles"]
    assert "nothing was tried" in found["schema and rows"].detail
    assert list(found) == PROMISES[:4]


def test_a_service_for_two_surveys_reads_what_one_of_them_lacks(tmp_path: Path) -> None:
    columns = "['candidate.magpsf', 'diaSource.psfFlux', 'diaSource.ra']"
    found = findings("Both", tmp_path, f"\nclass Both(Good):\n    columns = {columns}\n")
    assert found["columns"].ok
    assert found["columns"].detail.startswith("reads candidate.magpsf; 2 more are of other surveys")


@pytest.mark.parametrize(
    ("promise", "words", "body"),
    [
        ("pickles", "open files, models and connections in `setup`", "lock = threading.Lock()"),
        ("columns", "did you mean candidate.magpsf?", "columns = ['candidate.magpfs']"),
        (
            "schema and rows",
            "is of type float, declared is bool",
            "answer = lambda self, m: pa.table({'bright': m})",
        ),
        (
            "schema and rows",
            "rows for",
            "answer = lambda self, m: pa.table({'bright': [True] * (len(m) // 2)})",
        ),
        (
            "order",
            "in another order than the alerts",
            "answer = lambda self, m: pa.table({'bright': pc.less(m.sort(), 18.0)})",
        ),
        (
            "order",
            "depend on their neighbours",
            "answer = lambda self, m: pa.table({'bright': pc.equal(m, m[0])})",
        ),
        (
            "order",
            "depend on their neighbours",
            "answer = lambda self, m: pa.table({'bright': pc.less(m, pc.mean(m))})",
        ),
        (
            "order",
            "in another order than the alerts",
            "answer = lambda self, m: pa.table({'bright': pc.less(m, 18.0)[::-1]})",
        ),
        (
            "nulls",
            "such alerts get the status error",
            "answer = lambda self, m: pa.table({'bright': [x < 18 for x in m.to_pylist()]})",
        ),
        ("time", "no answer within 1 s", "answer = lambda self, m: time.sleep(30)"),
        ("answers", "exit code 5", "answer = lambda self, m: os._exit(5)"),
        ("loads", "RuntimeError: no model", "def setup(self): raise RuntimeError('no model')"),
    ],
)
def test_a_broken_promise_is_told_in_words_that_help(
    promise: str, words: str, body: str, tmp_path: Path
) -> None:
    source = f"\nclass Bad(Good):\n    {body}\n"
    if promise == "pickles":
        source = f"\nclass Bad(Good):\n    def __init__(self): self.{body}\n"
    found = findings("Bad", tmp_path, source, batch_s=1.0 if promise == "time" else 60.0)
    assert not found[promise].ok
    assert words.lower() in found[promise].detail.lower()


CHAINED = """
class Chained(Good):
    columns = ["candidate.magpsf", "good.bright"]
    needs = ["good"]
    def process(self, alerts):
        return pa.table({"bright": pc.invert(alerts["good.bright"].cast(pa.bool_()))})
"""


@pytest.mark.parametrize(
    ("rows", "ok", "words"),
    [
        (None, True, "read as null, for made alerts have none: bright; try --archive"),
        (10, True, "reads bright; 10 of 40 alerts have results"),
        (0, False, "it has no bright; it has kafka_topic"),
    ],
)
def test_results_of_another_service_are_read_where_there_are_some(
    tmp_path: Path, rows: int | None, words: str, *, ok: bool
) -> None:
    (tmp_path / "chained.py").write_text(HEAD + CHAINED)
    alerts = finkray.testing.alerts(40)

    def results_of(text: str) -> pa.Table | None:
        assert text == "good"
        if rows is None:
            return None
        results = finkray.testing.run(Bright, alerts)
        return results.slice(0, rows) if rows else results.drop_columns(["bright"])

    spec = Spec("chained:Chained", str(tmp_path))
    found = {one.name: one for one in check_service(spec, default_limits(), alerts, results_of)}
    assert found["results of good"].ok is ok
    assert found["results of good"].detail.startswith(words)
    assert found["nulls"].ok


def test_results_that_an_archive_lacks_are_said(tmp_path: Path) -> None:
    (tmp_path / "lacking.py").write_text(HEAD + CHAINED)

    def results_of(_: str) -> pa.Table | None:
        raise ServiceError("there are no results 'good' here; there are: none")

    spec = Spec("lacking:Chained", str(tmp_path))
    alerts = finkray.testing.alerts(4)
    found = {one.name: one for one in check_service(spec, default_limits(), alerts, results_of)}
    assert not found["results of good"].ok
