"""What people write, and the contract that it keeps."""

import pickle
import subprocess
import sys
from pathlib import Path
from random import Random

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import finkray
import finkray.testing
from finkray.errors import ServiceError
from finkray.packets.write_claim import write_table
from finkray.services.columns import names_of, pick, read_columns
from finkray.services.contract import RESULT_COLUMNS, accept, faults_of_answer
from finkray.services.service import Service, describe, load_service

BRIGHT = pa.schema([("bright", pa.bool_())])


class BrightStar(finkray.Service):
    """Brighter than a limit.

    More words.
    """

    columns = ("candidate.magpsf",)
    output = BRIGHT

    def process(self, alerts: pa.Table) -> pa.Table:
        return pa.table({"bright": pc.less(alerts["candidate.magpsf"], 18.0)})


@finkray.service(columns=["candidate.magpsf"], output=BRIGHT)
def is_bright(alerts: pa.Table) -> pa.Table:
    """The same as a function."""
    return pa.table({"bright": pc.less(alerts["candidate.magpsf"], 18.0)})


ALERTS = pa.table({"candidate.magpsf": [17.0, 19.0, None]})


# Class and function.


@pytest.mark.parametrize("service", [BrightStar(), is_bright])
def test_a_class_and_a_function_answer_alike(service: Service) -> None:
    assert service.process(ALERTS)["bright"].to_pylist() == [True, False, None]


def test_a_service_is_described_by_what_it_declares() -> None:
    about = describe(BrightStar())
    assert (about.name, about.columns, about.output) == (
        "bright_star",
        ("candidate.magpsf",),
        BRIGHT,
    )
    assert about.doc == "Brighter than a limit."
    assert describe(is_bright).name == "is_bright"


def test_a_decorated_function_can_still_be_called_and_travels() -> None:
    assert is_bright(ALERTS)["bright"].to_pylist() == [True, False, None]


def test_a_version_is_a_digest_of_the_source_unless_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    source = (
        "import finkray, pyarrow as pa\n"
        "class Faint(finkray.Service):\n"
        "    columns = ['candidate.magpsf']\n"
        "    output = pa.schema([('faint', pa.bool_())])\n"
        "@finkray.service(columns=['candid'], output=pa.schema([('x', pa.int64())]))\n"
        "def twice(alerts): return alerts\n"
    )
    versions = []
    for name, text in [("one", source), ("same", source), ("other", source + "# changed\n")]:
        (tmp_path / f"{name}_services.py").write_text(text)
        versions.append(describe(load_service(f"{name}_services:Faint")).version)
    assert versions[0] == versions[1] != versions[2]
    assert len(versions[0]) == 12

    function = load_service("one_services:twice")
    assert pickle.loads(pickle.dumps(function)) is function

    class Given(BrightStar):
        version = "2.1"

    assert describe(Given()).version == "2.1"


def test_importing_finkray_and_its_services_brings_nothing_heavy() -> None:
    code = (
        "import sys, finkray; finkray.Service; finkray.service;"
        "heavy = {'ray', 'pyspark', 'astropy', 'pandas', 'polars'};"
        "print(heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("nonsense", "expected module:Name"),
        ("no_such_module:X", "there is no module no_such_module"),
        (
            f"{__name__}:Missing",
            "has no Missing; its services are BrightStar, WithLimit, is_bright",
        ),
        (f"{__name__}:ALERTS", "derive it from finkray.Service"),
    ],
)
def test_a_service_that_is_not_there_is_refused_in_words(spec: str, words: str) -> None:
    with pytest.raises(ServiceError) as error:
        load_service(spec)
    assert words in str(error.value)


def test_a_module_that_fails_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "needs_services.py").write_text("import surely_not_installed\n")
    (tmp_path / "raises_services.py").write_text("1 / 0\n")
    (tmp_path / "argument_services.py").write_text(
        "import finkray\nclass A(finkray.Service):\n    def __init__(self, limit): ...\n"
    )
    for spec, words in [
        ("needs_services:X", "needs the module surely_not_installed"),
        ("raises_services:X", "cannot be imported: ZeroDivisionError"),
        ("argument_services:A", "is called without arguments"),
    ]:
        with pytest.raises(ServiceError) as error:
            load_service(spec)
        assert words in str(error.value)


# What is declared.


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"columns": "candid"}, "expected a list, as ['candid']"),
        ({"columns": []}, "columns is empty"),
        ({"columns": ["a..b"]}, "with a dot between record and field"),
        ({"columns": ["candid", "candid"]}, "more than once"),
        ({"output": {"bright": bool}}, "expected a schema"),
        ({"output": pa.schema([])}, "output is empty"),
        ({"output": pa.schema([("status", pa.string())])}, "which each row of results has"),
        ({"output": pa.schema([("Hour", pa.int32())])}, "which each row of results has"),
        ({"output": pa.schema([("a", pa.int8()), ("A", pa.int8())])}, "more than once"),
        ({"name": "../up"}, "expected small letters"),
        ({"name": 5}, "expected small letters"),
        ({"version": "a/b"}, "expected a text of letters, digits"),
        ({"version": 1}, "version = 1 of odd: expected a text"),
        ({"columns": None}, "expected a list"),
        ({"columns": [1]}, "expected a list of names"),
        ({"output": None}, "expected a schema"),
    ],
)
def test_what_cannot_be_declared_is_named(declared: dict[str, object], words: str) -> None:
    service = type("Odd", (BrightStar,), declared)()
    with pytest.raises(ServiceError) as error:
        describe(service)
    assert words in str(error.value)


# What is answered.


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "is there a `return` missing?"),
        ({"bright": [True]}, "a dict, not a pyarrow Table: give pa.table({'bright': …})"),
        (pa.table({"dark": [True] * 3}), "lacks the declared column 'bright'"),
        (pa.table({"bright": [True] * 3, "mag": [1] * 3}), "has the column 'mag', not declared"),
        (pa.table({"bright": [1, 0, 1]}), "is of type int64, declared is bool"),
        (pa.table({"bright": [True]}), "1 rows for 3 alerts"),
        (pa.table([[True], [True]], names=["bright", "bright"]), "more than once"),
    ],
)
def test_an_answer_that_breaks_the_promise_is_told_how(answer: object, words: str) -> None:
    assert any(words in fault for fault in faults_of_answer(BRIGHT, 3, answer))
    with pytest.raises(ServiceError):
        accept(BRIGHT, 3, answer)


def test_a_pandas_frame_is_told_how_to_become_a_table() -> None:
    faults = faults_of_answer(BRIGHT, 1, pd.DataFrame({"bright": [True]}))
    assert "pa.Table.from_pandas" in faults[0]


def test_an_answer_in_another_order_of_columns_or_without_any_value_is_fine() -> None:
    output = pa.schema([("a", pa.int32()), ("b", pa.string())])
    answer = pa.table({"b": pa.nulls(2), "a": pa.array([1, 2], pa.int32())})
    assert accept(output, 2, answer).schema == output


def test_nulls_where_none_are_declared_are_a_fault() -> None:
    output = pa.schema([pa.field("a", pa.int32(), nullable=False)])
    assert (
        "has nulls" in faults_of_answer(output, 1, pa.table({"a": pa.array([None], pa.int32())}))[0]
    )


def test_the_results_own_columns_are_reserved() -> None:
    for name in RESULT_COLUMNS.names:
        with pytest.raises(ServiceError):
            describe(type("Odd", (BrightStar,), {"output": pa.schema([(name, pa.int8())])})())


# Columns.

IMAGE_BYTES = 200_000

RECORDS = pa.table(
    {
        "candid": [1, 2, 3],
        "candidate": pa.array(
            [{"magpsf": 17.0, "ra": 1.0}, None, {"magpsf": 19.0, "ra": 3.0}],
        ),
        "prv_candidates": [[{"jd": 1.0, "fid": 1}, {"jd": 2.0, "fid": 2}], None, []],
        "cutout": [Random(n).randbytes(IMAGE_BYTES) for n in range(3)],
    }
)


def test_fields_of_records_and_of_lists_of_records_are_columns() -> None:
    table = pick(RECORDS, ["candidate.magpsf", "prv_candidates.jd", "candid"])
    assert table.to_pydict() == {
        "candidate.magpsf": [17.0, None, 19.0],
        "prv_candidates.jd": [[1.0, 2.0], None, []],
        "candid": [1, 2, 3],
    }


@pytest.mark.parametrize("part", [RECORDS.slice(1, 2), RECORDS.slice(0, 1), RECORDS.slice(3)])
def test_parts_of_tables_are_read_right(part: pa.Table) -> None:
    names = ["candidate.magpsf", "prv_candidates.jd"]
    whole = pick(RECORDS, names).to_pylist()
    start = 3 if not len(part) else part["candid"][0].as_py() - 1
    assert pick(part, names).to_pylist() == whole[start : start + len(part)]


def test_only_the_leaves_that_are_asked_for_are_read(tmp_path: Path) -> None:
    path = tmp_path / "alerts.parquet"
    with path.open("wb") as out:
        write_table(RECORDS, out)
    with path.open("rb") as raw:
        reads = _Counting(raw)
        table = read_columns(pa.PythonFile(reads, mode="r"), ["candidate.magpsf", "nothing.here"])
    assert table["candidate.magpsf"].to_pylist() == [17.0, None, 19.0]
    assert table["nothing.here"].type == pa.null()
    assert len(table["nothing.here"]) == 3
    # The end of the file holds its schema; pyarrow asks for 64 kB there, whatever is in it.
    assert path.stat().st_size > 3 * IMAGE_BYTES
    assert sum(end - begin for begin, end in reads.ranges) < IMAGE_BYTES


def test_every_column_that_can_be_asked_for_has_a_name() -> None:
    assert names_of(RECORDS.schema) == [
        "candid",
        "candidate",
        "candidate.magpsf",
        "candidate.ra",
        "prv_candidates",
        "prv_candidates.jd",
        "prv_candidates.fid",
        "cutout",
    ]


def test_a_whole_record_can_be_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "alerts.parquet"
    pq.write_table(RECORDS, path)
    table = read_columns(str(path), ["candidate", "prv_candidates"])
    assert table["candidate"].to_pylist() == RECORDS["candidate"].to_pylist()
    assert table["prv_candidates"].to_pylist() == RECORDS["prv_candidates"].to_pylist()


class _Counting:
    """A file that remembers which bytes were read."""

    def __init__(self, file: object) -> None:
        self._file = file
        self.ranges: list[tuple[int, int]] = []
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        begin = self._file.tell()  # type: ignore[attr-defined]
        data: bytes = self._file.read(size)  # type: ignore[attr-defined]
        self.ranges.append((begin, begin + len(data)))
        return data

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


# Settings.


class WithLimit(Service):
    """Bright, by a limit of its settings."""

    columns = ("candidate.magpsf",)
    output = pa.schema([("bright", pa.bool_())])

    def setup(self) -> None:
        self.limit = self.settings.get("limit", 18.5)

    def process(self, alerts: pa.Table) -> pa.Table:
        return pa.table({"bright": pc.less(alerts["candidate.magpsf"], self.limit)})


def test_settings_are_there_when_a_service_is_set_up() -> None:
    usual = finkray.testing.run(WithLimit)
    all_of_them = finkray.testing.run(WithLimit, settings={"limit": 99})
    assert pc.sum(usual["bright"]).as_py() < len(usual) == pc.sum(all_of_them["bright"]).as_py()


def test_other_settings_are_another_version_and_another_secret_is_not() -> None:
    def version(**settings: object) -> str:
        service = WithLimit()
        service.settings = settings
        return describe(service).version

    versions = [version(), version(limit=18), version(limit=19), version(below={"limit": 19})]
    assert len(set(versions)) == 4
    secrets = [version(limit=18, token="a", hub={"password": "b"}), version(limit=18, hub={})]
    assert len(set(secrets)) == 1


def test_only_tables_without_secrets_are_shared() -> None:
    service = WithLimit()
    service.shares = ["catalogs", "kafka"]
    with pytest.raises(
        ServiceError, match=r"shares names \['kafka'\]: .* \['catalogs', 'outliers'\]"
    ):
        describe(service)
