"""Which jobs `finkray stop` lets drain at the same time."""

from datetime import UTC, datetime

from jobs.cluster.job import Job
from jobs.commands.stop import stop_groups
from jobs.daemons.registry import DAEMONS
from jobs.daemons.service import SERVICE

AT = datetime(2026, 11, 24, 3, tzinfo=UTC)


def test_all_jobs_drain_together_and_the_kafka_that_they_read_ends_last() -> None:
    names = ("simulator", "archive", "ui", "hats", "bright", "loud")
    jobs = [
        Job(name, DAEMONS.get(name, SERVICE), f"{name}-1", "RUNNING", AT, 30.0) for name in names
    ]
    groups = [[job.name for job in group] for group in stop_groups(jobs)]
    assert groups == [["archive", "ui", "hats", "bright", "loud"], ["simulator"]]
    assert stop_groups([]) == []
