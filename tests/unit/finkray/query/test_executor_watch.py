"""Spark counts as gone without executors; the first one may take longer than a later one."""

import pytest

from finkray.errors import ClusterUnavailable
from finkray.query.executor_watch import FIRST_EXECUTOR_S, NO_EXECUTOR_S, ExecutorWatch


def test_the_first_executor_may_take_longer() -> None:
    watch = ExecutorWatch(100.0)
    watch.note(0, 100.0 + FIRST_EXECUTOR_S)
    with pytest.raises(ClusterUnavailable, match="no Spark executor for 90 s"):
        watch.note(0, 101.0 + FIRST_EXECUTOR_S)


def test_a_lost_executor_that_is_not_restarted_is_noticed_soon() -> None:
    watch = ExecutorWatch(100.0)
    watch.note(2, 150.0)
    watch.note(0, 150.0 + NO_EXECUTOR_S)
    with pytest.raises(ClusterUnavailable, match="no Spark executor for 20 s"):
        watch.note(0, 151.0 + NO_EXECUTOR_S)


def test_a_restarted_executor_begins_the_time_anew() -> None:
    watch = ExecutorWatch(0.0)
    for second in range(10, 200, 10):
        watch.note(second % 20 == 0, float(second))
