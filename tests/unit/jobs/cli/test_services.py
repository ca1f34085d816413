"""`finkray run`, `diff` and `service`, as a person gives them."""

import json
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from finkray.storage.local import LocalStorage
from tests.support.commands import Finkray
from tests.support.small_archives import NIGHT, SmallArchive

MODULE = """
import finkray
import pyarrow as pa
import pyarrow.compute as pc

class Bright(finkray.Service):
    columns = ["candidate.magpsf"]
    output = pa.schema([("bright", pa.bool_())])
    version = "1"
    limit = 18.0

    def process(self, alerts):
        return pa.table({"bright": pc.less(alerts["candidate.magpsf"], self.limit)})

class Brighter(Bright):
    name = "bright"
    version = "2"
    limit = 17.5

class Loud(finkray.Service):
    columns = ["kafka_offset"]
    output = pa.schema([("text", pa.string())])
    version = "1"

    def process(self, alerts):
        return pa.table({"text": [chr(27) + "[2J" + chr(0x202E) + self.version] * len(alerts)})

class Louder(Loud):
    name = "loud"
    version = "2"

class Hopeless(Bright):
    def process(self, alerts):
        raise ConnectionError("no catalogue")
"""


@pytest.fixture
def small(tmp_path: Path, finkray: Finkray) -> SmallArchive:
    """An archive of 60 alerts an hour, in the folder where the commands are given."""
    assert finkray  # it moves to the folder
    (tmp_path / "mymodule.py").write_text(MODULE)
    small = SmallArchive(LocalStorage(tmp_path / "archive"))
    for hour in range(2):
        for number in range(3):
            first = 60 * hour + 20 * number
            small.put(
                first,
                first + 19,
                begins=NIGHT + timedelta(hours=hour, minutes=20 * number),
                candidate={"jd": 2461368.5, "magpsf": 17.2 + 0.2 * number},
            )
    return small


def test_a_service_runs_over_the_archive_once(finkray: Finkray, small: SmallArchive) -> None:
    answer = finkray("run", "mymodule:Bright", "--workers", "1")
    assert answer.returncode == 0, answer.stderr
    assert "bright 1: 120 alerts (120 ok)" in answer.stdout
    assert "results: science/bright/1, 120 rows in all" in answer.stdout
    again = finkray("run", "mymodule:Bright", "--workers", "1")
    assert "there was nothing to do" in again.stdout
    root = small.storage.root / "science" / "bright" / "1" / "results"
    assert pq.read_table(root)["bright"].to_pylist() == [True] * 120


def test_a_span_goes_into_results_of_another_name(finkray: Finkray, small: SmallArchive) -> None:
    assert small
    words = ("--from", "2026-11-24T02", "--to", "2026-11-24T03", "--into", "trial")
    answer = finkray("run", "mymodule:Bright", *words, "--workers", "1", "--json")
    told = json.loads(answer.stdout)
    assert (told["folder"], told["results"]) == ("science/trial/1", 60)
    assert told["complete"] is True


def test_values_of_results_do_not_control_the_terminal(
    finkray: Finkray, small: SmallArchive
) -> None:
    assert small
    finkray("run", "mymodule:Loud", "--workers", "1")
    finkray("run", "mymodule:Louder", "--workers", "1")
    shown = finkray("diff", "loud/1", "loud/2").stdout
    assert "text" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "[2J" in shown


@pytest.mark.parametrize("command", ["run", "start"])
@pytest.mark.parametrize("name", ["../../escape", "/tmp/escape", "a/b", ".hidden", "..", "", "a b"])
def test_results_are_named_and_never_a_path(
    finkray: Finkray, small: SmallArchive, command: str, name: str
) -> None:
    answer = finkray(command, "mymodule:Bright", "--into", name)
    assert answer.returncode == 2
    assert f"--into {name!r}: expected a name" in answer.stderr
    assert not (small.storage.root / "science").exists()
    assert not list(small.storage.root.parent.rglob("*escape*"))


def test_two_versions_are_compared_alert_by_alert(finkray: Finkray, small: SmallArchive) -> None:
    assert small
    finkray("run", "mymodule:Bright", "--workers", "1")
    finkray("run", "mymodule:Brighter", "--workers", "1", "--to", "2026-11-24T02")
    answer = finkray("diff", "bright/1", "bright/2", "--json")
    assert answer.returncode == 1
    told = json.loads(answer.stdout)
    assert (told["same"], told["different"], told["only_in_first"]) == (40, 20, 60)
    assert told["from_to"] == {"bright": [{"from": "True", "to": "False", "alerts": 20}]}
    assert told["examples"][0]["object_id"] == "ZTF260000040"

    text = finkray("diff", "bright/1", "bright/2").stdout
    assert "40 alerts have the same answer, 20 another one" in text
    assert "60 alerts are in bright/1 alone" in text
    assert "20  True -> False" in text
    same = finkray("diff", "bright/1", "bright/1")
    assert same.returncode == 0
    finkray("run", "mymodule:Loud", "--workers", "1", "--to", "2026-11-24T02")
    refused = finkray("diff", "bright/1", "loud/1")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "there is nothing to compare: bright/1 and loud/1 have no column" in refused.stderr


def test_the_results_that_there_are_can_be_listed(finkray: Finkray, small: SmallArchive) -> None:
    assert small
    finkray("run", "mymodule:Bright", "--workers", "1")
    answer = finkray("service", "list")
    assert answer.stdout == "bright/1: 120 alerts, bright (of mymodule:Bright)\n"


def test_a_service_is_checked_on_alerts_of_the_archive(
    finkray: Finkray, small: SmallArchive
) -> None:
    assert small
    answer = finkray("service", "check", "mymodule:Bright", "--archive", "--rows", "30")
    assert answer.returncode == 0, answer.stdout
    assert "30 rows for 30 alerts" in answer.stdout
    refused = finkray("service", "check", "mymodule:Hopeless", "--json")
    assert refused.returncode == 1
    assert "no catalogue" in json.loads(refused.stdout)[-1]["detail"]


def test_a_service_that_fails_on_everything_ends_the_run_and_says_why(
    finkray: Finkray, small: SmallArchive
) -> None:
    assert small
    env = {"FINKRAY__SERVICES__BREAKER_FAILURES": "3"}
    answer = finkray("run", "mymodule:Hopeless", "--workers", "1", **env)
    assert answer.returncode == 1
    assert "the service fails on everything, last with raised: ConnectionError: no catalogue" in (
        answer.stderr
    )


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("run", "nomodule:X"), 1, "there is no module nomodule"),
        (("run", "mymodule:Bright", "--from", "soon"), 2, "'soon' is no time"),
        (("run", "mymodule:Bright", "--from", "2026-12", "--to", "2026-11-01"), 2, "--to"),
        (("diff", "a", "b"), 1, "there are no results 'a' here"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    finkray: Finkray, small: SmallArchive, words: tuple[str, ...], code: int, told: str
) -> None:
    assert small
    answer = finkray(*words)
    assert (answer.returncode, told in answer.stderr) == (code, True), answer.stderr


def test_without_an_archive_it_says_so(finkray: Finkray) -> None:
    answer = finkray("run", "mymodule:Bright")
    assert answer.returncode == 2
    assert "there is no archive in" in answer.stderr
