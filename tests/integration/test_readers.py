"""Whoever has pyarrow, pandas, polars or Spark reads the folders, with nothing of ours installed.

The code is that of docs/archive.md and README.md, word by word.
"""

import ast
import hashlib
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from finkray.claim import Claim
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit
from finkray.packets.batch import make_batch
from finkray.packets.decode import Decoder
from finkray.packets.decoder import make_decoder
from finkray.packets.message import RawMessage
from finkray.packets.write_claim import write_claim
from finkray.results.backlog import AlertSelection
from finkray.services.messages import Spec
from finkray.serving.run import Run, run_over
from finkray.settings.model import Settings
from finkray.settings.packets import PacketSettings
from finkray.storage.local import LocalStorage
from tests.support import docs_pages
from tests.support.odd_archives import (
    FIRST_MS,
    SOURCE,
    archive_of_ancient_times,
    archive_of_conflicts,
    archive_of_two_widths,
)
from tests.support.packets import lsst_v10_frames, real_ztf_packets

CHECKOUT = Path(__file__).resolve().parents[2]
SPARK = """
import os, sys, traceback
from finkray.host.java import find_java
os.environ.update(find_java().environment())
os.environ["PYSPARK_PYTHON"] = sys.executable
from pyspark.sql import SparkSession
spark = (SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
         .config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
         .getOrCreate())
for line in sys.stdin:
    try:
        exec(eval(line), {"spark": spark})
    except Exception:
        print(repr(traceback.format_exc()), flush=True)
    else:
        print(repr(""), flush=True)
spark.stop()
"""
"""Runs each line of its input, the text of a program as a Python literal, with a `spark` of its
own; answers with the traceback."""


@pytest.fixture(scope="module")
def night(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an archive of 39 real alerts of four schema versions, in two hours."""
    folder = tmp_path_factory.mktemp("night")
    packets = [
        packet
        for names in ("202002*", "2024*", "20210720*", "2016*")
        for packet in list(real_ztf_packets(test_data, names))[:10]
    ]
    messages = [RawMessage(n, FIRST_MS + n * 180_000, packet) for n, packet in enumerate(packets)]
    storage = LocalStorage(folder / "archive")
    ledger = Ledger.take_over(storage)
    batch = make_batch(Claim(SOURCE, 0, len(messages) - 1), messages, (), Decoder())
    staged = write_claim(batch, storage, ledger.staging, "test")
    commit(ledger, storage, [staged])
    assert staged.result.archived == 39
    archive_of_ancient_times(folder / "old")
    archive_of_conflicts(folder / "mixed")
    archive_of_two_widths(folder / "wide")
    return folder


def block(page: str, mark: str) -> str:
    """The Python block of a page that begins with, or stands behind, the mark."""
    text = (CHECKOUT / page).read_text()
    blocks: list[str] = re.findall(r"```python\n(.*?)```", text[text.index(mark) :], re.DOTALL)
    return blocks[0]


def run(folder: Path, code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def run_with_spark(night: Path) -> Iterator[Callable[[str], None]]:
    """Runs code in the folder `night`, in one process with a Spark that has nothing of ours."""
    process = subprocess.Popen(
        [sys.executable, "-c", SPARK],
        cwd=night,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None

    def run(code: str) -> None:
        stdin.write(f"{code!r}\n")
        stdin.flush()
        answer = stdout.readline()
        assert answer, "the process with Spark ended"
        assert ast.literal_eval(answer) == "", ast.literal_eval(answer)

    yield run
    stdin.close()
    assert process.wait(60) == 0


SELECTIONS = ('.select(["candid", "kafka_offset"])', '.select("candid", "kafka_offset")')
"""What the recipes select; without it they show all columns."""


def all_columns(recipe: str) -> str:
    for selection in SELECTIONS:
        assert recipe.count(selection) == 1
        recipe = recipe.replace(selection, "")
    return recipe


def test_pyarrow_pandas_and_polars_show_all_columns_of_all_versions(night: Path) -> None:
    run(
        night,
        all_columns(block("docs/archive.md", "<!-- test: readers -->"))
        + """
import finkray, json
whole = finkray.open_archive("archive").dataset().to_table().sort_by("kafka_offset")
assert whole.num_rows == 39
def plain(rows):
    # The order of fields in records differs; values and names do not. NaN is equal to itself.
    return [json.dumps(row, sort_keys=True, default=str) for row in rows]
expected = whole.to_pylist()
assert plain(pyarrow_table.sort_by("kafka_offset").to_pylist()) == plain(expected)
assert plain(polars_frame.sort("kafka_offset").to_arrow().to_pylist()) == plain(expected)
assert set(pandas_frame.columns) == set(whole.column_names) and len(pandas_frame) == 39
for row in pandas_frame.to_dict("records"):
    for name in ("candidate", "cutoutScience"):
        assert plain([row[name]]) == plain([expected[row["kafka_offset"]][name]]), name
""",
    )


WIDE_ROWS = [(3, 0.5, [{"jd": 0.5}]), (2**40, 0.1, [{"jd": 0.1}])]


def test_pyarrow_and_polars_unite_numbers_that_became_wider(night: Path) -> None:
    recipe = all_columns(block("docs/archive.md", "<!-- test: readers -->"))
    run(
        night,
        recipe.replace("archive/alerts", "wide/alerts")
        + f"""
for rows in (pyarrow_table, polars_frame.to_arrow()):
    rows = rows.sort_by("kafka_offset").select(["candid", "x", "past"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == {WIDE_ROWS!r}
""",
    )


def test_pyarrow_pandas_and_polars_read_the_union_of_all_versions(night: Path) -> None:
    run(
        night,
        block("docs/archive.md", "<!-- test: readers -->")
        + """
import sys
assert "finkray" not in sys.modules
assert pyarrow_table.num_rows == len(pandas_frame) == polars_frame.height == 39
names = {field.name for field in pyarrow_table.schema.field("candidate").type}
assert {"schemavsn"} < set(pyarrow_table.column_names) and {"drbversion", "rbversion"} < names
assert set(pyarrow_table.column("hour").to_pylist()) == {1, 2}
assert sorted(pandas_frame["kafka_offset"]) == sorted(polars_frame["kafka_offset"])
assert polars_frame["candid"].n_unique() == 39
""",
    )


def test_pyarrow_and_polars_read_an_archive_that_was_sent_other_columns(night: Path) -> None:
    recipe = all_columns(block("docs/archive.md", "<!-- test: readers -->"))
    run(
        night,
        recipe.replace("archive/alerts", "mixed/alerts")
        + """
import finkray
columns = ["candid", "fid", "past", "note"]
expected = [(0, 5, [], None), (5, None, [{"jd": 7}], "x")]
whole = finkray.open_archive("mixed").dataset().to_table()
for rows in (whole, pyarrow_table, polars_frame.to_arrow()):
    rows = rows.sort_by("kafka_offset").select(columns).to_pylist()
    assert [tuple(row.values()) for row in rows] == expected
""",
    )


@pytest.mark.spark
@pytest.mark.timeout(180)
def test_spark_reads_the_union_of_all_versions(run_with_spark: Callable[[str], None]) -> None:
    run_with_spark(
        block("docs/archive.md", "<!-- test: spark -->")
        + """
assert spark_frame.count() == 39
names = set(spark_frame.schema["candidate"].dataType.fieldNames())
assert {"drbversion", "rbversion"} < names
assert spark_frame.select("candid").distinct().count() == 39
import finkray
whole = finkray.open_archive("archive").dataset().to_table().sort_by("kafka_offset")
assert set(spark_frame.columns) == set(whole.column_names)
assert names == {field.name for field in whole.schema.field("candidate").type}
import json
def plain(row):
    # Spark's times have no zone. NaN is equal to itself.
    text = lambda value: value.hex() if isinstance(value, bytes | bytearray) else str(value)
    return json.dumps({**row, "kafka_timestamp": ""}, sort_keys=True, default=text)
rows = [row.asDict(recursive=True) for row in spark_frame.orderBy("kafka_offset").collect()]
assert [plain(row) for row in rows] == [plain(row) for row in whole.to_pylist()]
"""
        + block("docs/archive.md", "<!-- test: spark -->").replace("archive/alerts", "old/alerts")
        + """
first = spark_frame.selectExpr("unix_micros(since)", "unix_date(day_of)", "kafka_offset").collect()
assert sorted(tuple(row) for row in first) == [(-62135596800000000, -719162, 1), (FIRST_MS, 0, 0)]
""".replace("FIRST_MS", str(FIRST_MS))
        + block("docs/archive.md", "<!-- test: spark -->").replace("archive/alerts", "mixed/alerts")
        + """
rows = spark_frame.orderBy("candid").select("candid", "fid", "past", "note").collect()
expected = [(0, 5, [], None), (5, None, [{"jd": 7}], "x")]
assert [tuple(row.asDict(recursive=True).values()) for row in rows] == expected
"""
        + block("docs/archive.md", "<!-- test: spark, two widths -->").replace(
            "archive/alerts", "wide/alerts"
        )
        + f"""
rows = spark_frame.orderBy("kafka_offset").select("candid", "x", "past").collect()
assert [tuple(row.asDict(recursive=True).values()) for row in rows] == {WIDE_ROWS!r}
assert spark_frame.schema["topic"].dataType.typeName() == "string"
"""
        + block("docs/archive.md", "<!-- test: spark, two widths -->")
        + """
assert spark_frame.count() == 39
assert {"drbversion", "rbversion"} < set(spark_frame.schema["candidate"].dataType.fieldNames())
""",
    )


@pytest.mark.spark
@pytest.mark.timeout(180)
def test_everybody_reads_images_that_were_compressed(
    test_data: Path, night: Path, run_with_spark: Callable[[str], None]
) -> None:
    """Those of LSST: 4 of its real alerts, in which there are 12."""
    packets = lsst_v10_frames(test_data)[:4]
    messages = [RawMessage(n, FIRST_MS + n, packet) for n, packet in enumerate(packets)]
    folder = str(test_data / "schemas" / "lsst")
    settings = PacketSettings(schema_folder=folder, surveys={"": "lsst"})
    storage = LocalStorage(night / "images")
    ledger = Ledger.take_over(storage)
    decoder = make_decoder(settings, max(map(len, packets)), {})
    batch = make_batch(Claim(SOURCE, 0, 3), messages, (), decoder)
    commit(ledger, storage, [write_claim(batch, storage, ledger.staging, "test")])
    ((_, alerts),) = batch.tables
    names = ["cutoutDifference", "cutoutScience", "cutoutTemplate"]
    written = {name: list(map(_digest, alerts[name].to_pylist())) for name in names}
    assert len({each for column in written.values() for each in column}) == 12
    (path,) = (night / "images" / "alerts").rglob("*.parquet")
    assert path.stat().st_size < 0.7 * sum(map(len, packets))

    run_with_spark(
        f"""
from hashlib import sha256
import pandas as pd, polars as pl, pyarrow.dataset as ds
from pyspark.sql.functions import sha2
written = {written!r}
table = ds.dataset("images/alerts", partitioning="hive").to_table()
spark_frame = spark.read.parquet("images/alerts").orderBy("kafka_offset")
for name, digests in written.items():
    for images in (table[name].to_pylist(), list(pd.read_parquet({str(path)!r})[name]),
                   list(pl.read_parquet({str(path)!r})[name])):
        assert [sha256(image).hexdigest() for image in images] == digests
    assert [row[0] for row in spark_frame.select(sha2(name, 256)).collect()] == digests
""",
    )


def _digest(image: bytes) -> str:
    return hashlib.sha256(image).hexdigest()


def test_the_readme_reads_an_archive_from_python(night: Path) -> None:
    run(
        night,
        block("README.md", "## From Python")
        + """
assert alerts.count_rows() == 39
assert claims.num_rows == 1
""",
    )


@pytest.mark.spark
@pytest.mark.timeout(180)
def test_spark_joins_alerts_with_what_a_service_said_of_them(
    night: Path, run_with_spark: Callable[[str], None]
) -> None:
    snapshot = run_over(
        Run(
            LocalStorage(night / "archive"),
            Spec("tests.support.services:Double", str(CHECKOUT)),
            Settings(),
            "bright",
        ),
        AlertSelection(from_seq=0),
        1,
        on_snapshot=lambda _: None,
        stopping=threading.Event(),
    )
    assert snapshot.results == 39
    join = docs_pages.spark_code().replace('"status", "bright"', '"status", "double"')
    run_with_spark(
        f"archive, version = 'archive', {snapshot.version!r}\n"
        + join
        + """
rows = joined.select("kafka_offset", "status", "double").orderBy("kafka_offset").collect()
assert [tuple(row) for row in rows] == [(n, "ok", 2 * n) for n in range(39)]
""",
    )
