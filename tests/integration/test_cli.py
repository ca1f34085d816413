"""The command line against a real Ray: the page, the lightest service, stands for all of them."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from finkray.host.processes import command_of
from finkray.settings.ray import RaySettings
from jobs.cluster.local_ray import LocalRay, find_local_ray, start_local_ray, stop_local_ray
from jobs.cluster.started_jobs import started_jobs
from tests.support.workspace import Workspace, make_workspace
from ui.passwords import password_line

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

SAID = "started.txt"
"""What the start of the page said."""

RAY = RaySettings(local_dashboard_port=0, local_object_store_bytes="128 MiB")


def family(ray: LocalRay) -> list[psutil.Process]:
    father = ray.process.process()
    return [father, *father.children(recursive=True)] if father else []


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """The page runs, on a local Ray that was brought up for it."""
    workspace = make_workspace(tmp_path_factory.mktemp("running"))
    started = workspace.command("start", "ui")
    assert started.returncode == 0, started.stderr
    (workspace.folder / SAID).write_text(started.stdout)
    yield workspace
    workspace.command("stop", "ui")
    stop_local_ray(workspace.state)


@pytest.fixture(scope="module")
def ray(running: Workspace) -> LocalRay:
    found = find_local_ray(running.state)
    assert found is not None
    return found


def test_start_returns_when_the_service_answers(running: Workspace) -> None:
    url = f"http://127.0.0.1:{running.port}/"
    with urllib.request.urlopen(url, timeout=20) as answer:
        assert answer.status == 200


def test_the_page_has_a_lower_priority_than_the_archive(running: Workspace, ray: LocalRay) -> None:
    assert running.port  # it runs
    (page,) = (each for each in family(ray) if "jobs.daemons.page" in command_of(each))
    (job,) = (each for each in page.parents() if "JobSupervisor" in " ".join(command_of(each)))
    assert page.nice() == job.nice() + 5  # the archive's driver has that of its job


def test_status_says_what_runs(running: Workspace, ray: LocalRay) -> None:
    answer = running.command("status", "--json")
    assert answer.returncode == 0, answer.stderr
    status = json.loads(answer.stdout)
    assert status["cluster"] == {
        "address": ray.address,
        "dashboard_url": ray.dashboard_url,
        "local": True,
    }
    (service,) = status["services"]
    assert (service["name"], service["status"]) == ("ui", "RUNNING")
    assert status["snapshot"] is None
    text = running.command("status").stdout
    assert text.startswith("archive: never started")
    assert "ui " in text
    assert "\x1b" not in text
    assert service["job_id"] in running.command("status", "--long").stdout
    checked = running.command("status", "--check")
    assert (checked.returncode, checked.stdout) == (1, "archive: never started\n")


def test_asking_creates_no_job_on_ray(running: Workspace, ray: LocalRay) -> None:
    def jobs() -> set[str]:
        question = urllib.request.Request(
            f"{ray.dashboard_url}/api/jobs/",
            headers={"Authorization": f"Bearer {ray.token_file.read_text()}"},
        )
        with urllib.request.urlopen(question, timeout=20) as answer:
            return {f"{job['job_id']} {job['submission_id']}" for job in json.load(answer)}

    before = jobs()
    assert running.command("status").returncode == 0
    assert jobs() == before


def test_a_second_one_is_refused(running: Workspace) -> None:
    answer = running.command("start", "ui")
    assert answer.returncode == 1
    assert "ui runs already, since " in answer.stderr
    assert "Traceback" not in answer.stderr


def test_stopping_another_service_touches_nothing(running: Workspace) -> None:
    answer = running.command("stop", "archive")
    assert (answer.returncode, answer.stdout) == (0, "archive does not run\n")
    assert "ui" in running.command("status").stdout


def test_check_finds_the_cluster(running: Workspace, ray: LocalRay) -> None:
    answer = running.command("check", FINKRAY__KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert f"yes  ray: a head answers at {ray.address}" in answer.stdout


def test_no_secret_is_in_the_dashboard_or_on_a_command_line(
    running: Workspace, ray: LocalRay
) -> None:
    token = ray.token_file.read_text()
    question = urllib.request.Request(
        f"{ray.dashboard_url}/api/jobs/", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(question, timeout=20) as answer:
        jobs = answer.read().decode()
    assert "jobs.daemons.page" in jobs
    commands = " ".join(" ".join(command_of(process)) for process in family(ray))
    assert "jobs.daemons.page" in commands
    for secret in ("hunter2", token):
        assert secret not in jobs
        assert secret not in commands
    for process in family(ray):
        with suppress(psutil.NoSuchProcess):
            assert "hunter2" not in " ".join(process.environ().values())
    # The service has them all the same: its own file is its owner's alone.
    (settings,) = (running.state / "settings").iterdir()
    assert "hunter2" in settings.read_text()
    assert settings.stat().st_mode & 0o077 == 0
    assert ray.token_file.stat().st_mode & 0o077 == 0


def test_the_dashboard_takes_the_token_that_the_start_names_and_asks_for_it(
    running: Workspace,
) -> None:
    said = (running.folder / SAID).read_text()
    named = re.search(r"dashboard (\S+) \(its token is in (\S+)\)", "".join(said.split("\n")))
    assert named, said
    url, token = f"{named[1]}/api/jobs/", Path(named[2]).read_text()
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(url, timeout=20)
    question = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(question, timeout=20) as answer:
        assert answer.status == 200


def test_whoever_has_not_the_token_is_told_so(running: Workspace, ray: LocalRay) -> None:
    elsewhere = {"FINKRAY_STATE": str(running.folder / "none"), "RAY_ADDRESS": ray.address}
    wrong = {**ray.environment(), **elsewhere, "RAY_AUTH_TOKEN": "0" * 64}
    answer = running.command("status", **wrong)
    assert answer.returncode == 2
    assert "finkray: Ray refuses our token: RAY_AUTH_TOKEN_PATH names" in answer.stderr


def test_everything_listens_on_the_loopback_address_alone(ray: LocalRay) -> None:
    addresses = set()
    for process in family(ray):
        with suppress(psutil.NoSuchProcess):  # Ray lets idle workers go now and then
            connections = process.net_connections(kind="tcp")
            addresses |= {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}
    assert {address.removeprefix("::ffff:") for address in addresses} == {"127.0.0.1"}


def test_the_last_stop_drains_and_leaves_nothing(running: Workspace, ray: LocalRay) -> None:
    processes = family(ray)
    assert len(processes) > 5
    answer = running.command("stop", "ui")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("ui has ended\n")
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert not alive
    assert not ray.folder.exists()
    assert find_local_ray(running.state) is None
    (log,) = (running.state / "logs").iterdir()
    assert "received SIGINT; stopping" in log.read_text()
    assert list((running.state / "settings").iterdir()) == []


@pytest.mark.nightly(
    "tests/integration/test_cli.py::test_ctrl_c_while_a_job_starts_leaves_nothing[ui: job]",
    "tests/integration/test_cluster.py::test_the_recipe_of_the_readme",
)
def test_on_a_cluster_that_is_there_and_in_the_foreground(tmp_path: Path) -> None:
    """Also: a head that was killed leaves nothing behind that hinders the next one."""
    there = tmp_path / "there"
    there.mkdir()
    killed = start_local_ray(there, RAY)
    orphans = family(killed)
    orphans[0].kill()
    orphans[0].wait(10)
    try:
        cluster = start_local_ray(there, RAY)
        psutil.wait_procs(orphans, timeout=20)
        assert [process for process in orphans if process.is_running()] == []
        assert not killed.folder.exists()
        workspace = make_workspace(tmp_path).with_env(**cluster.environment())
        _start_and_interrupt(workspace)
        assert find_local_ray(there) == cluster, "the cluster was not ours to take down"
        assert workspace.command("stop", "ui").stdout == "ui does not run\n"
    finally:
        stop_local_ray(there)


def _start_and_interrupt(workspace: Workspace) -> None:
    said = workspace.folder / "said"
    with said.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "jobs.cli.main", "start", "ui", "--foreground"],
            cwd=workspace.folder,
            # Should it hang, it says where.
            env={**workspace.env, "PYTHONFAULTHANDLER": "1"},
            stdout=file,
            stderr=file,
        )
    try:
        _wait_for("The page is at", said, process)
        socket.create_connection(("127.0.0.1", workspace.port), timeout=20).close()
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0, said.read_text()
    except (AssertionError, subprocess.TimeoutExpired):
        process.send_signal(signal.SIGABRT)
        process.wait(20)
        pytest.fail(said.read_text())
    assert "ui drains and stops" in said.read_text()
    assert "received SIGINT; stopping" in said.read_text()


@pytest.mark.parametrize(
    "said",
    [
        "ui: job ",
        pytest.param(
            "local Ray: 127.0.0.1:",
            marks=pytest.mark.nightly(
                "tests/integration/test_cli.py::"
                "test_ctrl_c_while_a_job_starts_leaves_nothing[ui: job]"
            ),
        ),
    ],
)
def test_ctrl_c_while_a_job_starts_leaves_nothing(tmp_path: Path, said: str) -> None:
    workspace = make_workspace(tmp_path)
    command = [sys.executable, "-m", "jobs.cli.main", "start", "ui"]
    try:
        with subprocess.Popen(
            command, cwd=tmp_path, env=workspace.env, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            # What asks Ray for its jobs is only imported when Ray is up.
            next(line for line in process.stdout if line.startswith(said))
            process.send_signal(signal.SIGINT)
            assert process.wait(120) == 130
        assert find_local_ray(workspace.state) is None
        assert started_jobs(workspace.state) == {}
    finally:
        stop_local_ray(workspace.state)


def _wait_for(words: str, said: Path, process: "subprocess.Popen[bytes]") -> None:
    deadline_s = time.monotonic() + 240
    while words not in said.read_text():
        assert process.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def test_a_service_that_fails_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    # A name that never is one of a machine (RFC 6761): the page cannot listen there.
    users = tmp_path / "users"
    users.write_text(password_line("alice", "correct horse"))
    away = {"FINKRAY__UI__HOST": "nowhere.invalid", "FINKRAY__UI__PASSWORD_FILE": str(users)}
    answer = workspace.command("start", "ui", **away)
    assert answer.returncode == 1
    assert "ui has failed. The end of its log:" in answer.stderr
    assert "Traceback" not in answer.stderr.split("The end of its log:")[0]
    assert find_local_ray(workspace.state) is None
    assert "nowhere.invalid" in next((workspace.state / "logs").iterdir()).read_text()
