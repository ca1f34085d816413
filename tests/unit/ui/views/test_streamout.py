from datetime import timedelta

import pytest

from finkray.status.streamout import FilterTrouble, StreamoutSnapshot
from tests.support.snapshots import FILTER, NIGHT, STREAMOUT, streamout
from ui.kit.reading import STALE_AFTER_S, Reading
from ui.views.streamout import (
    STREAMOUT_HINT,
    filters_table,
    groups_table,
    streamout_banner,
    streamout_figures,
    troubles_table,
)

WELL = streamout((FILTER, FILTER.model_copy(update={"name": "faint", "state": "paused"})))


def banner(snapshot: StreamoutSnapshot | None) -> tuple[str, str, int]:
    shown = streamout_banner(Reading(snapshot, NIGHT), NIGHT)
    return shown.level, shown.headline, shown.alarms


def test_the_banner_says_whether_what_passes_is_sent() -> None:
    assert banner(WELL) == ("good", "1 of 2 filters are active", 0)
    assert banner(None) == ("quiet", STREAMOUT_HINT, 0)
    assert banner(streamout(())) == ("quiet", "no filter is published", 0)
    assert banner(STREAMOUT["FILTER_RESTS"]) == ("bad", "2 of 2 filters are active", 1)
    assert banner(STREAMOUT["STREAMOUT_STOPPED"]) == ("bad", "nothing is sent", 1)
    assert banner(STREAMOUT["STREAMOUT_SILENT"]) == (
        "bad",
        "no report from streaming out for 1 min 35 s",
        1,
    )


def test_a_source_that_hangs_is_not_shown_as_well() -> None:
    now = NIGHT + timedelta(seconds=STALE_AFTER_S + 1)
    assert streamout_banner(Reading(WELL, NIGHT), now).level == "bad"


def test_the_figures_name_the_slowest_filter_and_the_group_that_lags_most() -> None:
    slow = FILTER.model_copy(
        update={"name": "slow", "latency_p95_s": 4.0, "behind_s": 9.0, "refused_lately": 3}
    )
    figures = {each.label: each for each in streamout_figures(streamout((FILTER, slow)))}
    shown = {label: (each.value, each.note) for label, each in figures.items()}
    assert shown == {
        "sent a second": ("1.0", "last minute"),
        "durable to sent, p95": ("4.0 s", "slow"),
        "behind": ("9.0 s", "slow"),
        "refused in the last hour": ("3", ""),
        "largest lag": ("7", "alice in bright_alerts"),
    }
    assert figures["refused in the last hour"].level == "warn"


def test_without_filters_and_groups_there_are_figures_too() -> None:
    nothing = streamout(()).model_copy(update={"groups": ()})
    values = [each.value for each in streamout_figures(nothing)]
    assert values[1:] == ["-", "-", "0", "-"]
    assert groups_table(nothing).rows == ()
    assert filters_table(nothing).empty == "none is published"


def test_the_filters_have_pass_rate_sent_and_latency() -> None:
    table = filters_table(WELL)
    heads = [column.name for column in table.columns]
    shown = dict(zip(heads, (cell.text for cell in table.rows[0]), strict=True))
    assert (shown["pass rate"], shown["sent"], shown["latency p95"]) == ("2.00%", "20", "600 ms")
    assert [row[2].text for row in table.rows] == ["active", "paused"]


@pytest.mark.parametrize("fault", ["", "died: its process ended"])
def test_the_troubles_say_why_alerts_were_not_judged_or_sent(fault: str) -> None:
    trouble = FilterTrouble(reason="needs classify", alerts=4, named=("ztf[0]@17",))
    hurt = FILTER.model_copy(update={"troubles": (trouble,), "fault": fault})
    rows = [[cell.text for cell in row] for row in troubles_table(streamout((hurt,))).rows]
    counted = ["bright", "needs classify", "4", "ztf[0]@17"]
    assert rows == [*([["bright", f"rests: {fault}", "", ""]] if fault else []), counted]
