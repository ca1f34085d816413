from finkray.status.archive import BalanceSheet
from tests.support.snapshots import NIGHT, busy_night
from ui import tables, view
from ui.html import small_tables_html
from ui.tables import Table
from ui.view import Reading


def column(table: Table, index: int) -> list[str]:
    return [row[index].text for row in table.rows]


def test_the_balance_sheet_has_every_part() -> None:
    sheet = BalanceSheet(
        received=1000, archived=900, dead_lettered=50, expired=40, not_delivered=10, waiting=7
    )
    table = tables.balance(busy_night(balance=sheet))
    assert column(table, 1) == ["1\u2009000", "900", "50", "40", "10", "0"]
    assert table.note == "7 more wait in Kafka"


def test_latency_has_a_row_for_each_stage_and_three_quantiles() -> None:
    table = tables.latency(busy_night())
    assert table.columns == ("until", "p50", "p95", "p99", "alerts")
    assert [cell.text for cell in table.rows[2][:4]] == ["durable", "2.4 s", "4.9 s", "12 s"]
    assert view.figures(busy_night())[3].value == "4.9 s"
    assert view.figures(busy_night(latency=()))[3].value == "-"


def test_dead_letters_stand_by_reason_the_most_frequent_first() -> None:
    table = tables.dead_letters(busy_night(dead_letters_by_reason={"b": 1, "a": 1, "c": 5}))
    assert column(table, 0) == ["c", "a", "b"]


def test_actors_show_held_bytes_against_their_limit() -> None:
    first, second = tables.actors(busy_night()).rows
    assert [cell.text for cell in first[1:4]] == ["228 MiB", "256 MiB", "89%"]
    assert first[1].level == "quiet"
    assert [cell.text for cell in second[1:4]] == ["251 MiB", "256 MiB", "98%"]
    assert second[1].level == second[5].level == "warn"
    assert second[5].text == "paused"


def test_partitions_stand_with_the_largest_lag_first_and_admit_what_is_unknown() -> None:
    table = tables.partitions(busy_night())
    assert column(table, 1) == ["3", "7", "6", "5", "4", "1", "0", "2"]
    assert [cell.text for cell in table.rows[0][2:4]] == ["897", "4\u2009200"]
    assert table.rows[-1][2].text == "unknown"
    assert [cell.text for cell in table.rows[-1][4:6]] == ["150\u2009002", "unknown"]
    assert table.rows[1][6] == tables.Cell("nobody", "warn")


def test_micro_batches_before_the_first_one() -> None:
    assert tables.micro_batches(busy_night(micro_batch=None)).rows == ()
    assert "none yet" in small_tables_html(Reading(busy_night(micro_batch=None), NIGHT))


def test_visits_say_when_they_came_and_how_soon_they_were_durable() -> None:
    table = tables.visits(busy_night())
    assert len(table.rows) == 20
    first, second = table.rows[:2]
    assert [cell.text for cell in first][:3] == ["2026112400512", "lsst", "9\u2009800"]
    assert first[-1] == tables.Cell("412 wait", "warn", number=True)
    assert [cell.text for cell in second][-2:] == ["2.2 s", "3.1 s"]
    assert "Kafka" in table.note
    assert tables.visits(busy_night(visits=())).rows == ()
