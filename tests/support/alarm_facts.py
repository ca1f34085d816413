"""Facts that raise each alarm, for the tests of the alarms and of the document about them."""

from finkray.monitor.alarm_rules import (
    LAG_WINDOW_S,
    RESTARTS_PER_H,
    SLOW_START_S,
    STALLED_S,
    DriverTroubles,
    Facts,
)

NOW_S = 50_000.0


def restarted(times: int, at_s: float = NOW_S) -> DriverTroubles:
    """Return the troubles of a query that was restarted this many times at that moment."""
    troubles = DriverTroubles()
    for _ in range(times):
        troubles.add_restart("the streaming query", at_s)
    return troubles


def lags(*floors: int, burst: int = 0) -> Facts:
    """Return a lag with these lowest values in windows of two minutes, the latest last."""
    points = [
        (NOW_S - LAG_WINDOW_S * back - second, floor + burst * (second % 37 != 0))
        for back, floor in enumerate(reversed(floors))
        for second in range(int(LAG_WINDOW_S))
    ]
    return Facts(monotonic_s=NOW_S, lags=sorted(points))


FACTS = {
    "KAFKA_UNREACHABLE": Facts(troubles=DriverTroubles(kafka="no broker answers")),
    "NO_TOPIC": Facts(troubles=DriverTroubles(no_topic="^ztf_")),
    "EXPIRED": Facts(troubles=DriverTroubles(expired=8, last_expired="t[0] 12-19")),
    "UNREADABLE": Facts(troubles=DriverTroubles(unreadable=64, last_unreadable="t[0] 5-68")),
    "LAG_GROWS": lags(0, 5_000, 10_000, 15_000, 20_000),
    "STORAGE": Facts(troubles=DriverTroubles(storage="the disk is full")),
    "LOW_DISK": Facts(free_bytes=2**30, low_disk_bytes=2**31),
    "LEASE": Facts(lease_silent_s=16.0, lease_ttl_s=15.0),
    "INTAKE_STOPPED": Facts(stalled_s={"ingest-0": STALLED_S, "ingest-1": 0.0}),
    "TOPIC_HELD_BACK": Facts(held_back_s={"ingest-0: flood": STALLED_S, "ingest-0: calm": 1.0}),
    "ACTOR_MEMORY": Facts(
        troubles=DriverTroubles(
            out_of_memory="ingest-0: it took 1600 MiB of memory, of at most 1536, while it read "
            "t[0] at offset 5",
            out_of_memory_at_s=NOW_S,
        ),
        monotonic_s=NOW_S + 60,
    ),
    "ACTOR_DOWN": Facts(actors_down={"ingest-1": "it was killed"}),
    "SLOW_START": Facts(starting_s=SLOW_START_S),
    "RESTARTS": Facts(troubles=restarted(RESTARTS_PER_H), monotonic_s=NOW_S + 3000),
    "UNKNOWN_SCHEMA": Facts(dead_letters_by_reason={"unknown_schema": 3, "truncated": 1}),
    "NO_REGISTRY": Facts(dead_letters_by_reason={"schema_unavailable": 3}),
    "OTHER_COLUMNS": Facts(
        troubles=DriverTroubles(other_columns=3, last_other_columns="t[0] 12-19")
    ),
    "CLOCK": Facts(clock_jumped_s=-3600.0),
    "DIFFERENCE": Facts(difference=-2),
}
"""For each alarm, facts that raise it and no other."""
