from finkray.status.archive import BalanceSheet
from tests.support.snapshots import busy_night
from ui.kit.elements import Cell, Table
from ui.kit.markup import table_html
from ui.views.archive import figures
from ui.views.archive_tables import (
    actors_table,
    balance_table,
    dead_letters_table,
    latency_table,
    micro_batches_table,
    partitions_table,
    past_alarms_table,
    visits_table,
)


def column(table: Table, index: int) -> list[str]:
    return [row[index].text for row in table.rows]


def test_the_balance_sheet_has_every_part() -> None:
    sheet = BalanceSheet(
        received=1000,
        archived=900,
        dead_lettered=50,
        expired=30,
        not_delivered=12,
        unreadable=8,
        waiting=7,
    )
    table = balance_table(sheet)
    assert column(table, 0)[-2:] == ["difference", "waiting in Kafka"]
    assert column(table, 1) == ["1\u2009000", "900", "50", "30", "12", "8", "0", "7"]


def test_latency_has_a_row_for_each_stage_and_three_quantiles() -> None:
    table = latency_table(busy_night().latency)
    assert [head.name for head in table.columns] == ["until", "p50", "p95", "p99", "alerts"]
    assert [cell.text for cell in table.rows[2][:4]] == ["durable", "2.4 s", "4.9 s", "12 s"]
    assert figures(busy_night())[3].value == "4.9 s"
    assert figures(busy_night(latency=()))[3].value == "unknown"


def test_dead_letters_are_listed_by_reason_the_most_frequent_first() -> None:
    table = dead_letters_table({"b": 1, "a": 1, "c": 5})
    assert column(table, 0) == ["c", "a", "b"]


def test_actors_show_held_bytes_against_their_limit() -> None:
    first, second = actors_table(busy_night().actors).rows
    assert [cell.text for cell in first[1:4]] == ["228 MiB", "256 MiB", "89 %"]
    assert first[1].level == "quiet"
    assert [cell.text for cell in second[1:4]] == ["251 MiB", "256 MiB", "98 %"]
    assert second[1].level == second[5].level == "warn"
    assert second[5].text == "paused"


def test_partitions_are_sorted_by_lag_and_say_what_is_unknown() -> None:
    table = partitions_table(busy_night().partitions)
    assert column(table, 1) == ["3", "7", "6", "5", "4", "1", "0", "2"]
    assert [cell.text for cell in table.rows[0][2:4]] == ["897", "4\u2009200"]
    assert table.rows[-1][2].text == "unknown"
    assert [cell.text for cell in table.rows[-1][4:6]] == ["150\u2009002", "unknown"]
    assert table.rows[1][6] == Cell("unassigned", "warn")


def test_micro_batches_before_the_first_one() -> None:
    assert micro_batches_table(None).rows == ()
    assert "none yet" in table_html(micro_batches_table(None))


def test_visits_say_when_they_arrived_and_how_soon_they_were_durable() -> None:
    table = visits_table(busy_night().visits)
    assert len(table.rows) == 20
    first, second = table.rows[:2]
    assert [cell.text for cell in first][:3] == ["2026112400512", "lsst", "9\u2009800"]
    assert first[-1] == Cell("412 wait", "warn")
    assert [cell.text for cell in second][-2:] == ["2.2 s", "3.1 s"]
    assert "Kafka" in table.note
    assert visits_table(()).rows == ()


def test_alarms_that_are_over_say_since_when_and_for_how_long() -> None:
    table = past_alarms_table(busy_night().past_alarms)
    assert [cell.text for cell in table.rows[0]] == [
        "KAFKA_UNREACHABLE",
        "2026-11-24 01:12:45 UTC",
        "42 s",
        "no broker answers in time",
    ]
    assert "none since the archive started" in table_html(past_alarms_table(()))


def test_a_limit_keeps_the_partitions_that_lag_most_and_says_so() -> None:
    table = partitions_table(busy_night().partitions, limit=2)
    assert table.title == "the 2 of 8 partitions that lag most"
    assert column(table, 1) == ["3", "7"]


def test_what_is_unknown_of_a_visit_is_not_shown_as_a_number() -> None:
    visit = (
        busy_night()
        .visits[1]
        .model_copy(update={"first_arrival": None, "last_arrival": None, "durable_s": None})
    )
    (row,) = visits_table((visit,)).rows
    assert [cell.text for cell in row[4:]] == ["unknown", "unknown", "?"]
