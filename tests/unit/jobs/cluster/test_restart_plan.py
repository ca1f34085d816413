from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from jobs.cluster.restart_plan import RestartPlan, plan_restart
from jobs.cluster.started_jobs import JobOutcome, StartedJob

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)


def job(name: str = "archive", **changes: object) -> StartedJob:
    return StartedJob(name=name, job_id=f"{name}-1", started_at=NOW).model_copy(update=changes)


LEAVE = RestartPlan(leave=True)
WAIT = RestartPlan()
START = RestartPlan(("archive",))


@pytest.mark.parametrize(
    ("outcome", "plan"),
    [
        (JobOutcome.RUNS, WAIT),
        (JobOutcome.UNKNOWN, WAIT),
        (JobOutcome.KILLED, START),
        (JobOutcome.FAILED, LEAVE),
        (JobOutcome.DONE, LEAVE),
    ],
)
def test_a_job_alone(outcome: JobOutcome, plan: RestartPlan) -> None:
    assert plan_restart([job()], {"archive": outcome}, NOW) == plan


def test_without_a_job_that_is_not_stopped_the_watcher_leaves() -> None:
    assert plan_restart([], {}, NOW) == LEAVE


@pytest.mark.parametrize("changes", [{"foreground": True}, {"address": "10.0.0.1:6379"}])
def test_jobs_in_the_foreground_and_on_other_clusters_are_left_alone(
    changes: dict[str, object],
) -> None:
    assert plan_restart([job(**changes)], {"archive": JobOutcome.KILLED}, NOW) == LEAVE
    both = [job(**changes), job("ui")]
    outcomes = {"archive": JobOutcome.KILLED, "ui": JobOutcome.KILLED}
    assert plan_restart(both, outcomes, NOW) == RestartPlan(("ui",))


@pytest.mark.parametrize(("seconds", "plan"), [(59, START), (60, LEAVE), (61, LEAVE)])
def test_a_job_that_would_have_ended_by_now_is_not_started(seconds: int, plan: RestartPlan) -> None:
    now = NOW + timedelta(seconds=seconds)
    assert plan_restart([job(exit_after_s=60.0)], {"archive": JobOutcome.KILLED}, now) == plan


@pytest.mark.parametrize("names", [*permutations(["simulator", "archive", "classify"])])
def test_kafka_starts_before_the_archive_and_the_archive_before_services(
    names: tuple[str, ...],
) -> None:
    outcomes = dict.fromkeys(names, JobOutcome.KILLED)
    plan = plan_restart(map(job, names), outcomes, NOW)
    assert plan == RestartPlan(("simulator", "archive", "classify"))


def test_jobs_that_run_are_not_started_again() -> None:
    outcomes = {"archive": JobOutcome.RUNS, "ui": JobOutcome.KILLED, "simulator": JobOutcome.DONE}
    assert plan_restart(map(job, outcomes), outcomes, NOW) == RestartPlan(("ui",))


def test_one_that_failed_keeps_no_watcher_and_no_other_from_being_watched() -> None:
    outcomes = {"archive": JobOutcome.FAILED, "ui": JobOutcome.RUNS}
    assert plan_restart(map(job, outcomes), outcomes, NOW) == WAIT
