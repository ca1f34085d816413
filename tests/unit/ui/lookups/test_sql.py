"""SQL over an archive reads, and does nothing else: each way out that is known is tried."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from finkray.storage.local import LocalStorage
from tests.support.curve_alerts import CurveArchive, ztf_alert, ztf_detection, ztf_table
from ui.lookups import sql
from ui.lookups.process import LookupRefused, Lookups
from ui.lookups.sql import MOST_CHARACTERS, MOST_ROWS, run_sql, sql_file

ALERTS = 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("archive")
    alerts = [ztf_alert(ztf_detection(n, magpsf=17.0 + n / 10)) for n in range(1, ALERTS + 1)]
    CurveArchive(LocalStorage(found)).put(ztf_table(*alerts), "ztf")
    return found


@pytest.fixture(scope="module")
def lookups(folder: Path) -> Iterator[Lookups]:
    asked = Lookups(LocalStorage(folder), 60.0, data_bytes=sql.DATA_BYTES)
    yield asked
    asked.close()


def answer(lookups: Lookups, text: str) -> list[tuple[object, ...]]:
    table = lookups.ask(run_sql, text).table
    return [tuple(row.values()) for row in table.to_pylist()]


def test_a_query_reads_the_alerts_and_their_nested_fields(lookups: Lookups) -> None:
    query = (
        "SELECT kafka_topic, count(*), sum(candid), max(candidate.magpsf) FROM alerts GROUP BY ALL"
    )
    total = ALERTS * (ALERTS + 1) // 2
    assert answer(lookups, query) == [("ztf", ALERTS, total, 20.0)]
    assert ("alerts",) in answer(lookups, "SHOW TABLES")


def test_an_answer_has_names_that_differ_and_types_that_every_format_has(lookups: Lookups) -> None:
    query = "SELECT 1 a, 2 a, INTERVAL 1 DAY i, 'x'::ENUM('x') e, sum(1) s, 1.5 d, NULL n"
    table = lookups.ask(run_sql, query).table
    assert table.column_names == ["a", "a_1", "i", "e", "s", "d", "n"]
    assert table.schema.types[4:6] == [pa.int64(), pa.float64()]
    for file_format in ("json", "csv", "parquet", "votable"):
        assert lookups.ask(sql_file, query, file_format).data


def test_rows_beyond_the_limit_are_left_out_and_it_is_said(lookups: Lookups) -> None:
    few = lookups.ask(run_sql, f"SELECT * FROM range({MOST_ROWS})")
    many = lookups.ask(run_sql, "SELECT * FROM range(1000000000)")
    assert (few.table.num_rows, few.cut) == (many.table.num_rows, not many.cut)
    large = lookups.ask(run_sql, "SELECT repeat('x', 100000) FROM range(10000)")
    assert large.cut


@pytest.mark.parametrize(
    "attack",
    [
        "COPY (SELECT 1) TO '{folder}/written'",
        "COPY alerts TO '{folder}/alerts/written.parquet'",
        "ATTACH '{folder}/written.db'",
        "EXPORT DATABASE '{folder}/written'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM (SELECT * FROM read_blob('/etc/passwd'))",
        "WITH x AS MATERIALIZED (SELECT * FROM glob('/*')) SELECT * FROM x",
        "SELECT (SELECT max(filename) FROM read_csv('/etc/passwd'))",
        "SELECT 1; DROP VIEW alerts",
        "SELECT 1; SELECT 2",
        "DROP VIEW alerts",
        "CREATE TABLE t AS SELECT 1",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "SELECT * FROM query('SELECT * FROM read_csv(''/etc/passwd'')')",
        "SELECT * FROM arrow_scan(1, 2, 3)",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM lookups",
        "SELECT getenv('HOME')",
        "WITH x AS (DELETE FROM alerts RETURNING *) SELECT * FROM x",
        "WITH x AS (INSERT INTO alerts BY NAME SELECT 1 candid RETURNING *) SELECT * FROM x",
        "MERGE INTO alerts USING range(1) r ON true WHEN MATCHED THEN DELETE",
        "EXPLAIN ANALYZE SELECT * FROM read_text('/etc/passwd')",
        "SUMMARIZE '/etc/passwd'",
        "FROM (DESCRIBE SELECT * FROM read_csv('/etc/passwd'))",
        "SELECT * FROM (UNPIVOT (FROM read_text('/etc/passwd')) ON filename)",
        "SELECT 1 ORDER BY (SELECT max(content) FROM system.main.read_text('/etc/passwd'))",
        "SELECT 1 LIMIT (SELECT count(*) FROM read_text('/etc/passwd'))",
        "SELECT * FROM query_table('alerts')",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM 's3://bucket/file.parquet'",
        'SELECT * FROM "/etc/passwd"',
        "",
        "no sql",
        "SELECT '" + "x" * MOST_CHARACTERS + "'",
    ],
)
def test_a_query_cannot_write_or_read_anything_else(
    lookups: Lookups, folder: Path, attack: str
) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(LookupRefused) as refused:
        lookups.ask(run_sql, attack.replace("{folder}", str(folder)))
    assert refused.value.status == 422
    assert "root:" not in str(refused.value)
    assert sorted(folder.rglob("*")) == before
    assert answer(lookups, "SELECT count(*) FROM alerts") == [(ALERTS,)]


def test_a_query_that_takes_too_much_memory_is_refused(lookups: Lookups) -> None:
    with pytest.raises(LookupRefused):
        lookups.ask(run_sql, "SELECT length(repeat('x', 1000000000) || repeat('y', 1000000000))")
    assert answer(lookups, "SELECT count(*) FROM alerts") == [(ALERTS,)]


def test_a_query_without_end_is_ended(lookups: Lookups, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(lookups, "SELECT 1")  # the process has started
    endless = "WITH RECURSIVE t AS (SELECT 1 n UNION ALL SELECT n FROM t) SELECT count(*) FROM t"
    monkeypatch.setattr(lookups, "_timeout_s", 0.5)
    with pytest.raises(LookupRefused, match="was ended") as refused:
        lookups.ask(run_sql, endless)
    assert refused.value.status == 504
    monkeypatch.undo()
    assert answer(lookups, "SELECT count(*) FROM alerts") == [(ALERTS,)]
