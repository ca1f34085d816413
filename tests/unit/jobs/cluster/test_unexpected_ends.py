from dataclasses import replace
from datetime import UTC, datetime, timedelta

from jobs.cluster.job import JobReport, ServiceJob
from jobs.cluster.started_jobs import StartedJob, UnexpectedEnd
from jobs.cluster.unexpected_ends import (
    EndedJob,
    ended_cards,
    ended_jobs,
    restart_notes,
)

AT = datetime(2026, 11, 24, 3, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
ARCHIVE = StartedJob(name="archive", job_id="archive-1", started_at=AT)
BRIGHT = StartedJob(
    name="trial",
    job_id="trial-1",
    started_at=AT,
    service=ServiceJob("mymodule:Bright", "/home/me", "trial"),
)
RAY_END = UnexpectedEnd(at=LATER, reason="the local Ray ended: its process raylet ended")
DIED = JobReport("FAILED", "Job supervisor actor died: killed\n  at 3", None, LATER)


def test_all_jobs_of_a_ray_that_ended_have_ended_with_it() -> None:
    found = ended_jobs([ARCHIVE, BRIGHT], "", None, RAY_END, watcher_runs=False)
    assert found == (EndedJob(ARCHIVE, RAY_END), EndedJob(BRIGHT, RAY_END))


def test_a_job_that_was_killed_on_a_ray_that_runs() -> None:
    reports = {"archive-1": DIED, "trial-1": JobReport("RUNNING")}
    (found,) = ended_jobs([ARCHIVE, BRIGHT], "", reports, None, watcher_runs=False)
    assert found.job == ARCHIVE
    assert found.end == UnexpectedEnd(at=LATER, reason="Job supervisor actor died: killed")


def test_jobs_that_run_were_stopped_or_are_done_are_not_told() -> None:
    for status in ("PENDING", "RUNNING", "STOPPED", "SUCCEEDED"):
        assert (
            ended_jobs([ARCHIVE], "", {"archive-1": JobReport(status)}, None, watcher_runs=False)
            == ()
        )


def test_of_jobs_on_another_cluster_nothing_is_known() -> None:
    elsewhere = ARCHIVE.model_copy(update={"address": "10.0.0.1:6379"})
    assert ended_jobs([elsewhere], "", None, RAY_END, watcher_runs=False) == ()
    (found,) = ended_jobs(
        [elsewhere], "10.0.0.1:6379", {"archive-1": DIED}, None, watcher_runs=False
    )
    assert found.end is not None


def test_what_was_recorded_before_its_traces_went_is_told() -> None:
    job = ARCHIVE.model_copy(update={"ended": RAY_END})
    (known,) = ended_jobs([job], "", {}, None, watcher_runs=False)
    assert known == EndedJob(job, RAY_END)
    (unknown,) = ended_jobs([ARCHIVE], "", {}, None, watcher_runs=False)
    assert unknown == EndedJob(ARCHIVE, None)


def test_of_two_ends_the_last_is_told() -> None:
    earlier = UnexpectedEnd(at=AT, reason="its supervisor was killed")
    again = ARCHIVE.model_copy(update={"ended": earlier, "restarts": 1})
    (by_ray,) = ended_jobs([again], "", None, RAY_END, watcher_runs=False)
    assert by_ray.end == RAY_END
    (by_report,) = ended_jobs([again], "", {"archive-1": DIED}, None, watcher_runs=False)
    assert by_report.end == UnexpectedEnd(at=LATER, reason="Job supervisor actor died: killed")


def test_a_card_says_what_ended_when_why_and_what_to_do() -> None:
    first, second, third = ended_cards(
        [EndedJob(ARCHIVE, RAY_END), EndedJob(BRIGHT, None), EndedJob(ARCHIVE, None, True)]
    )
    assert first.since == "2026-11-24 04:00:00 UTC"
    assert first.message == (
        "archive, started 2026-11-24 03:00:00 UTC, ended without being stopped: "
        "the local Ray ended: its process raylet ended"
    )
    assert "finkray start archive starts it again" in first.what_to_do
    assert "finkray start mymodule:Bright starts it again" in second.what_to_do
    assert "finkray stop trial confirms" in second.what_to_do
    assert "no trace of its end is left" in second.message
    assert "the Ray watcher starts it again" in third.what_to_do


def test_json_has_all_of_it() -> None:
    printed = EndedJob(ARCHIVE, RAY_END).to_json()
    assert printed["name"] == "archive"
    assert printed["ended_at"] == "2026-11-24T04:00:00+00:00"
    assert printed["reason"] == RAY_END.reason
    assert printed["restarting"] is False
    assert EndedJob(ARCHIVE, None).to_json()["ended_at"] is None


def test_a_job_that_was_started_again_is_noted_while_it_runs() -> None:
    again = ARCHIVE.model_copy(update={"ended": RAY_END, "restarts": 2})
    (note,) = restart_notes([again, BRIGHT], ["archive-1", "trial-1"])
    head = "archive was started again after an unexpected end; restarts: 2; 2026-11-24 04:00"
    assert note.startswith(head)
    assert restart_notes([again], []) == ()


def test_a_failure_without_words_is_told_too() -> None:
    (found,) = ended_jobs(
        [ARCHIVE], "", {"archive-1": replace(DIED, message="")}, None, watcher_runs=False
    )
    assert found.end is not None
    assert found.end.reason == "Ray gives no reason"


def test_the_watcher_brings_back_what_was_killed_and_not_what_failed() -> None:
    failed = JobReport("FAILED", "exit code 2", 2, LATER)
    in_front = ARCHIVE.model_copy(update={"name": "front", "foreground": True})
    reports = {"archive-1": DIED, "trial-1": failed}
    found = ended_jobs([ARCHIVE, BRIGHT, in_front], "", reports, None, watcher_runs=True)
    assert [each.restarting for each in found] == [True, False, False]
