import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from finkray import __version__ as finkray_version
from finkray.errors import SettingsError
from finkray.host.exit_codes import CommandExit
from tests.support.commands import Finkray

COMMANDS = ("start", "stop", "status", "check")


def test_the_module_is_the_console_script() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "jobs.cli.main", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout == f"finkray {finkray_version}\n"


INTERRUPTED_WHILE_IT_LOADS = """
import signal, sys

class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == "jobs.cli.main":
            signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupt())
from jobs.cli.entry import main
main()
"""


def test_ctrl_c_while_a_command_loads_ends_it_without_a_traceback() -> None:
    command = [sys.executable, "-c", INTERRUPTED_WHILE_IT_LOADS]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (CommandExit.INTERRUPTED, "")


def test_help_waits_for_none_of_the_heavy_libraries() -> None:
    heavy = ("ray", "pyspark", "gradio", "astropy", "pandas")
    code = f"import sys, jobs.cli.main; print([name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert answer.stdout == b"[]\n"


def test_help_has_examples_and_exit_codes(finkray: Finkray) -> None:
    answer = finkray("--help")
    assert answer.returncode == 0
    assert "finkray start archive --simulator" in answer.stdout
    assert "Exit codes:" in answer.stdout
    assert all(f"  {command} " in answer.stdout for command in COMMANDS)


def test_the_shell_completes_commands_and_options(finkray: Finkray) -> None:
    for words, expected in (
        ("finkray sta", {"start", "status"}),
        ("finkray status --w", {"--watch"}),
    ):
        answer = finkray(
            _FINKRAY_COMPLETE="complete_bash",
            COMP_WORDS=words,
            COMP_CWORD=str(words.count(" ")),
        )
        assert set(answer.stdout.split()) == expected


@pytest.mark.parametrize("words", [(), ("filter",), ("catalog",)])
def test_help_says_the_whole_of_what_each_command_does(
    finkray: Finkray, words: tuple[str, ...]
) -> None:
    commands = finkray(*words, "--help").stdout.partition("Commands:\n")[2]
    assert commands
    assert "..." not in commands
    assert "Drain and stop jobs (archive, simulator, ui, bright); other" in commands or words


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples(finkray: Finkray, command: str) -> None:
    text = finkray(command, "--help").stdout
    assert f"Examples:\n    finkray {command}" in text


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("start", "nonsense"),
        ("start", "ui", "--simulator"),
        ("start", "ui", "--new-archive"),
        ("start", "archive", "--exit-after", "-1"),
    ],
)
def test_a_wrong_command_is_2(finkray: Finkray, words: tuple[str, ...]) -> None:
    answer = finkray(*words)
    assert answer.returncode == 2
    assert "Usage:" in answer.stderr


def test_a_wrong_setting_is_2_and_one_line(finkray: Finkray, tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "finkray.toml").write_text("[kafak]\n")
    answer = finkray("status")
    assert answer.returncode == 2
    assert answer.stderr == (
        "finkray: conf/finkray.toml: kafak is not known; did you mean kafka?\n"
    )
    with pytest.raises(SettingsError):
        finkray("--debug", "status")


def test_the_file_of_the_settings_can_be_named(finkray: Finkray, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("[ui]\nport = 'x'\n")
    assert "other.toml: ui.port" in finkray("status", "-c", "other.toml").stderr
    named = finkray("status", FINKRAY_CONFIG="other.toml")
    assert "other.toml: ui.port" in named.stderr
    missing = finkray("status", "-c", "none.toml")
    assert (missing.returncode, "cannot be read" in missing.stderr) == (2, True)


def test_a_cluster_that_does_not_answer_is_3(finkray: Finkray) -> None:
    answer = finkray("status", RAY_ADDRESS="127.0.0.1:1")
    assert answer.returncode == 3
    assert answer.stderr.startswith("finkray: no Ray answers at 127.0.0.1:1: ")


def test_nothing_runs(finkray: Finkray) -> None:
    assert "nothing runs" in finkray("status").stdout
    assert finkray("stop", "archive").stdout == "archive does not run\n"
    answer = finkray("status", "--json")
    lists = ("services", "ended_unexpectedly", "own_services", "classes")
    told = json.loads(answer.stdout)
    assert told.pop("archive_at_rest")["state"] == "never_started"
    nulls = dict.fromkeys(("cluster", "snapshot", "hats", "index", "streamout"))
    assert told == {**nulls, **{name: [] for name in lists}}


def test_a_status_that_is_watched_goes_on_after_an_error_until_ctrl_c(tmp_path: Path) -> None:
    config = tmp_path / "finkray.toml"
    config.write_text('[ray]\naddress = "127.0.0.1:1"\n')
    words = ("status", "--watch", "1", "-c", str(config))
    watching = subprocess.Popen(
        [sys.executable, "-m", "jobs.cli.main", *words],
        env={**os.environ, "FINKRAY_STATE": str(tmp_path / "state")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    try:
        shown = [watching.stdout.readline() for _ in range(4)]
        assert all(line.endswith(" UTC, every 1 s; end with Ctrl-C\n") for line in shown[::2])
        assert all("no Ray answers at 127.0.0.1:1" in line for line in shown[1::2])
        watching.send_signal(signal.SIGINT)
        assert watching.wait(60) == CommandExit.INTERRUPTED
    finally:
        watching.kill()
        watching.communicate()


def test_check_says_yes_or_no_to_each(finkray: Finkray) -> None:
    env = {"FINKRAY__KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    answer = finkray("check", **env)
    assert answer.returncode == 1
    lines = answer.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "yes  settings",
        "yes  java",
        "no   kafka",
        "yes  storage",
        "yes  space",
        "yes  file system",
        "yes  ray",
    ]
    assert "\x1b" not in answer.stdout


def test_check_as_json(finkray: Finkray) -> None:
    answer = finkray("check", "--json", FINKRAY__UI__PORT="x")
    assert answer.returncode == 1
    (settings,) = json.loads(answer.stdout)
    assert (settings["name"], settings["ok"]) == ("settings", False)
    assert "ui.port" in settings["detail"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["storage", "check", "a" * 5000], CommandExit.NO, "the path is too long: "),
        (["outliers", "models", "--user", b"\xff"], CommandExit.SETTINGS, "is no text in UTF-8"),
    ],
)
def test_an_odd_argument_is_no_bug(
    words: list[str | bytes], code: CommandExit, said: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "jobs.cli.main", *words]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == code, answer.stderr
    assert said in answer.stderr
    assert len(answer.stderr) < 200


def test_a_disk_that_refuses_is_no_bug(finkray: Finkray, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / "services.lock").symlink_to("/dev/null/lock")
    answer = finkray("stop", "--all")
    assert answer.returncode == CommandExit.UNAVAILABLE
    assert answer.stderr.startswith(f"finkray: {state}/services.lock: Not a directory: look at")
