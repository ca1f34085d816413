import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from finkray.errors import StorageError
from finkray.host.records import write_private
from jobs.cluster.job import JobReport, ServiceJob
from jobs.cluster.started_jobs import (
    JobOutcome,
    StartedJob,
    UnexpectedEnd,
    forget,
    job_outcome,
    record_ends,
    record_start,
    started_jobs,
)
from jobs.cluster.state import settings_file
from tests.support.full_disk import fill_disk

AT = datetime(2026, 11, 24, 3, tzinfo=UTC)
ARCHIVE = StartedJob(name="archive", job_id="archive-1", started_at=AT)
BRIGHT = StartedJob(
    name="bright",
    job_id="bright-1",
    started_at=AT,
    exit_after_s=60,
    service=ServiceJob("mymodule:Bright", "/home/me", "trial", "2026-11-24"),
)


def test_jobs_are_known_until_they_are_forgotten(tmp_path: Path) -> None:
    assert started_jobs(tmp_path) == {}
    record_start(tmp_path, ARCHIVE)
    record_start(tmp_path, BRIGHT)
    assert list(started_jobs(tmp_path).values()) == [ARCHIVE, BRIGHT]
    assert stat.S_IMODE((tmp_path / "jobs.json").stat().st_mode) == 0o600
    assert forget(tmp_path, ["archive", "ui"]) == [ARCHIVE]
    assert forget(tmp_path, ["archive"]) == []
    assert started_jobs(tmp_path) == {"bright": BRIGHT}


def test_the_last_job_can_be_forgotten_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_start(tmp_path, ARCHIVE)
    record_start(tmp_path, BRIGHT)
    fill_disk(tmp_path, monkeypatch)
    with pytest.raises(StorageError, match="No space left on device"):
        forget(tmp_path, ["archive"])
    assert forget(tmp_path, ["archive", "bright"]) == [ARCHIVE, BRIGHT]
    assert started_jobs(tmp_path) == {}


def test_a_new_start_takes_the_place_of_the_one_before_and_its_settings_go(tmp_path: Path) -> None:
    record_start(tmp_path, ARCHIVE)
    old, new = settings_file(tmp_path, "archive-1"), settings_file(tmp_path, "archive-2")
    write_private(old, "{}")
    write_private(new, "{}")
    again = ARCHIVE.model_copy(update={"job_id": "archive-2"})
    record_start(tmp_path, again)
    assert started_jobs(tmp_path) == {"archive": again}
    assert new.exists()
    assert not old.exists()


def test_ends_are_recorded_for_the_jobs_that_have_one(tmp_path: Path) -> None:
    record_start(tmp_path, ARCHIVE)
    record_start(tmp_path, BRIGHT)
    end = UnexpectedEnd(at=AT, reason="killed")
    record_ends(tmp_path, lambda job: end if job.name == "archive" else None)
    record_ends(tmp_path, lambda _: None)
    assert started_jobs(tmp_path)["archive"].ended == end
    assert started_jobs(tmp_path)["bright"] == BRIGHT


@pytest.mark.parametrize(
    ("report", "outcome"),
    [
        (None, JobOutcome.KILLED),
        (JobReport("PENDING"), JobOutcome.RUNS),
        (JobReport("RUNNING"), JobOutcome.RUNS),
        (JobReport("SUCCEEDED", exit_code=0), JobOutcome.DONE),
        (JobReport("STOPPED"), JobOutcome.DONE),
        (JobReport("FAILED", "Job supervisor actor died"), JobOutcome.KILLED),
        (JobReport("FAILED", exit_code=-9), JobOutcome.KILLED),
        (JobReport("FAILED", exit_code=137), JobOutcome.KILLED),
        (JobReport("FAILED", exit_code=75), JobOutcome.KILLED),
        (JobReport("FAILED", exit_code=1), JobOutcome.FAILED),
        (JobReport("FAILED", exit_code=2), JobOutcome.FAILED),
        (JobReport("FAILED", exit_code=3), JobOutcome.FAILED),
    ],
)
def test_what_became_of_a_job(report: JobReport | None, outcome: JobOutcome) -> None:
    reports = {} if report is None else {"archive-1": report}
    assert job_outcome(ARCHIVE, reports, cluster_runs=True) is outcome
    assert job_outcome(ARCHIVE, None, cluster_runs=True) is JobOutcome.UNKNOWN
    assert job_outcome(ARCHIVE, None, cluster_runs=False) is JobOutcome.KILLED


def test_a_report_in_the_fields_of_ray() -> None:
    details = {"status": "FAILED", "message": "died", "driver_exit_code": -9, "end_time": 1000}
    assert JobReport.of({**details, "metadata": {}}) == JobReport(
        "FAILED", "died", -9, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    )
    assert JobReport.of({"status": "RUNNING", "message": None}) == JobReport("RUNNING")
