"""The figures of a service are of its last minute, whatever the wall clock says."""

import pyarrow as pa
import pytest

from finkray.monitor.clock import Moment
from finkray.services.messages import Answer
from finkray.serving.monitor import WINDOW_S, ServiceMonitor

T0_S = 1_764_000_000.0
JUMPS_S = [0.0, 3600.0, -3600.0, -86_400.0]


@pytest.mark.parametrize("jump_s", JUMPS_S)
def test_figures_are_of_the_last_minute_while_the_clock_is_set(jump_s: float) -> None:
    def at(second: float) -> Moment:
        return Moment(T0_S + second + (jump_s if second >= 90 else 0.0), 77.0 + second)

    monitor = ServiceMonitor(at(0))
    for second in range(1, 181):
        monitor.answered(50, Answer(None, wall_s=0.5, cpu_s=0.25), at(second))
        stamps = pa.array([(at(second).unix_s - 2) * 1000], pa.float64()).cast(pa.int64())
        rows = {"kafka_timestamp": stamps.cast(pa.timestamp("ms", "UTC")), "status": ["ok"]}
        monitor.durable(pa.table(rows), at(second))
        figures = monitor.figures(at(second))
        assert figures["alerts_per_s"] == pytest.approx(50, rel=0.02)
        assert figures["latency_p99_s"] == pytest.approx(2, abs=0.01)
        assert len(monitor._batches) <= WINDOW_S + 1
        assert len(monitor._durable) <= WINDOW_S + 1
    assert monitor.by_status == {"ok": 180}
