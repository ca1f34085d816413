"""`finkray deadletters` as a person has it, on an archive with a bad night."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest

from finkray.ledger.lease import Lease
from jobs.cli.main import main
from tests.support.avro_cases import container, long, sized
from tests.support.dead_letters import (
    KNOWN,
    NEW,
    NIGHT_MS,
    PAIR,
    SOURCE,
    Observatory,
    a_bad_night,
    frame,
    record,
)

MANY = {**PAIR, "fields": [{"name": "many", "type": {"type": "array", "items": "null"}}]}
DAY_MS = 24 * 3600 * 1000


class Answer(NamedTuple):
    code: int
    text: str
    errors: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


DeadLetters = Callable[..., Answer]


@pytest.fixture
def observatory(tmp_path: Path) -> Observatory:
    observatory = Observatory(tmp_path)
    a_bad_night(observatory)
    other = SOURCE._replace(topic="others", topic_id="another-id", partition=3)
    observatory.archive(40, [b"text", frame(KNOWN, 41)], source=other, begins_ms=NIGHT_MS + DAY_MS)
    return observatory


@pytest.fixture
def deadletters(
    observatory: Observatory,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> DeadLetters:
    monkeypatch.chdir(observatory.folder)
    monkeypatch.setenv("FINKRAY_STATE", str(observatory.folder / "state"))

    def run(*words: str) -> Answer:
        line = ["finkray", "deadletters", *words, "-c", str(observatory.config)]
        monkeypatch.setattr(sys, "argv", line)
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        assert isinstance(code, int)
        return Answer(code, *capfd.readouterr())

    return run


def counted(answer: Answer) -> set[tuple[Any, ...]]:
    return {tuple(row.values()) for row in answer.json}


def test_they_are_counted_by_topic_day_and_reason(deadletters: DeadLetters) -> None:
    answer = deadletters("list", "--json")
    assert counted(answer) == {
        ("alerts", "2026-11-24", "unknown_schema", 5, 0),
        ("alerts", "2026-11-24", "truncated", 1, 0),
        ("alerts", "2026-11-24", "not_avro", 1, 0),
        ("alerts", "2026-11-24", "tombstone", 1, 0),
        ("others", "2026-11-25", "not_avro", 1, 0),
    }
    lines = deadletters("list").text.splitlines()
    assert lines[0].split() == ["topic", "day", "(UTC)", "reason", "dead", "resolved"]
    assert lines[-1].split() == ["all", "9", "0"]


@pytest.mark.parametrize(
    ("words", "offsets"),
    [
        ("", [1, 2, 4, 5, 6, 7, 10, 11, 40]),
        ("--reason not_avro", [5, 40]),
        ("--reason not_avro --reason tombstone", [5, 10, 40]),
        ("--topic alerts --reason not_avro", [5]),
        ("--partition 3", [40]),
        ("--offsets 2-6", [2, 4, 5, 6]),
        ("--offsets 10", [10]),
        ("--time 2026-11-25", [40]),
        ("--time 2026-11-24T01:00:02..2026-11-24T01:00:06", [2, 4, 5]),
        ("--time 2026-11-23", []),
        ("--reason never_heard_of", []),
    ],
)
def test_which_are_meant(deadletters: DeadLetters, words: str, offsets: list[int]) -> None:
    answer = deadletters("list", "--all", "--json", *words.split())
    assert sorted(row["kafka_offset"] for row in answer.json) == offsets


@pytest.mark.parametrize("words", ["--offsets 5-2", "--offsets x", "--time tonight"])
def test_what_is_no_range(deadletters: DeadLetters, words: str) -> None:
    assert deadletters("list", *words.split()).code == 2


def test_nothing_is_found_in_words(deadletters: DeadLetters) -> None:
    assert deadletters("list", "--partition", "9").text == "no dead letters\n"
    assert deadletters("list", "--all", "--partition", "9").text == "no dead letters\n"
    missing = deadletters("show", "alerts", "0", "3")
    assert (missing.code, missing.errors) == (
        1,
        "finkray: alerts[0] has no dead letter at offset 3\n",
    )


def test_one_is_shown_with_what_decodes_of_it(
    deadletters: DeadLetters, observatory: Observatory
) -> None:
    text = deadletters("show", "alerts", "0", "4").text
    for line in (
        "alerts[0] offset 4",
        "reason     truncated",
        "looks like an Avro container, codec null (pair)",
        "candid = 7",
        "4f 62 6a 01",
        "|Obj.",
    ):
        assert line in text
    assert "now  " not in text

    (shown,) = deadletters("show", "alerts", "0", "6", "--json").json
    assert (shown["wire_format"], shown["schema_id"]) == (f"a Confluent frame, schema {NEW}", NEW)
    assert (shown["fields"], shown["size_bytes"], shown["kept_bytes"]) == ({}, 15, 15)

    observatory.schema_turns_up(NEW)
    assert "now        it decodes" in deadletters("show", "alerts", "0", "6").text
    assert deadletters("redrive").code == 0
    (shown,) = deadletters("show", "alerts", "0", "6", "--json").json
    assert shown["resolved"] is True
    assert shown["fields"] == {"candid": 6, "objectId": "ZTF26abc"}
    (path,) = shown["alert_files"]
    offsets = pq.read_table(observatory.storage.root / path, partitioning=None)["kafka_offset"]
    assert 6 in offsets.to_pylist()


@pytest.mark.parametrize(
    ("damaged", "fields"),
    [
        (b"", {}),
        (b"Obj\x01\xff", {}),
        (container(PAIR, record(7), codec="deflate"), {}),
        (container(MANY, long(2**60)), {}),
        (container(PAIR, record(7)[:4]), {"candid": 7}),
    ],
)
def test_whatever_it_is_it_can_be_shown(
    deadletters: DeadLetters, observatory: Observatory, damaged: bytes, fields: dict[str, Any]
) -> None:
    observatory.archive(12, [damaged])
    (shown,) = deadletters("show", "alerts", "0", "12", "--json").json
    assert shown["fields"] == fields


def test_a_redrive_says_what_became_of_them(
    deadletters: DeadLetters, observatory: Observatory
) -> None:
    observatory.schema_turns_up(NEW)
    one = deadletters("redrive", "--offsets", "1", "--json")
    assert one.json == {"tried": 1, "alerts": 1, "still_dead": {}, "cut_short": 0, "unread": []}
    assert deadletters("redrive").text.splitlines() == [
        "8 dead letters decoded again: 4 are archived as alerts",
        "2 are still dead: not_avro",
        "1 are still dead: tombstone",
        "1 are still dead: truncated",
    ]
    assert ("alerts", "2026-11-24", "unknown_schema", 0, 5) in counted(
        deadletters("list", "--json")
    )
    assert len(deadletters("list", "--all", "--json").json) == 4


def test_a_redrive_says_what_archives_alerts_with_other_columns(
    deadletters: DeadLetters, observatory: Observatory
) -> None:
    fields = [{"name": "candid", "type": "string"}, {"name": "objectId", "type": "string"}]
    observatory.archive(12, [container({**PAIR, "fields": fields}, sized(b"12") + sized(b"x"))])

    shown = deadletters("show", "alerts", "0", "12").text
    assert "Readers cannot put candid (string) into one table with candid (int64)" in shown
    lines = deadletters("redrive", "--reason", "other_columns").text.splitlines()
    assert lines[:2] == [
        "1 dead letters decoded again: 0 are archived as alerts",
        "1 are still dead: other_columns",
    ]
    assert "docs/archive.md" in " ".join(lines[2:])


def test_a_redrive_is_refused_while_an_archive_runs(
    deadletters: DeadLetters, observatory: Observatory
) -> None:
    observatory.schema_turns_up(NEW)
    with Lease.acquire(observatory.storage, ttl_s=60.0):
        refused = deadletters("redrive")
        assert deadletters("list").code == 0
    assert refused.code == 1
    assert "stop it with `finkray stop archive`" in refused.errors
    assert deadletters("redrive", "--json").json["alerts"] == 5


def test_they_are_exported_byte_for_byte(
    deadletters: DeadLetters, observatory: Observatory
) -> None:
    letters = observatory.folder / "letters"
    answer = deadletters("export", str(letters), "--topic", "alerts")
    assert (answer.code, answer.text) == (0, f"8 dead letters in {letters}\n")
    index = {
        row["kafka_offset"]: row
        for row in map(json.loads, (letters / "index.jsonl").read_text().splitlines())
    }
    assert (letters / index[5]["file"]).read_bytes() == b"text"
    assert (letters / index[11]["file"]).read_bytes() == frame(NEW, 11)
    assert index[10]["file"] is None
    assert index[5]["kafka_timestamp"] == "2026-11-24T01:00:05+00:00"
    assert len(list(letters.glob("*.bin"))) == 7

    again = deadletters("export", str(letters))
    assert (again.code, "is there already" in again.errors) == (1, True)


def test_they_are_exported_as_parquet(deadletters: DeadLetters, observatory: Observatory) -> None:
    observatory.schema_turns_up(NEW)
    deadletters("redrive")
    file = observatory.folder / "letters.parquet"
    assert deadletters("export", str(file)).code == 0
    assert sorted(pq.read_table(file)["kafka_offset"].to_pylist()) == [4, 5, 10, 40]
    everything = observatory.folder / "all.parquet"
    assert deadletters("export", str(everything), "--resolved").code == 0
    table = pq.read_table(everything)
    assert sum(table["resolved"].to_pylist()) == 5
    assert dict(zip(table["kafka_offset"].to_pylist(), table["value"].to_pylist(), strict=True))[
        11
    ] == frame(NEW, 11)


def test_what_the_documentation_says_can_be_said(tmp_path: Path) -> None:
    """Each command of docs/archive.md, in a folder with an archive of that topic."""
    observatory = Observatory(tmp_path)
    a_bad_night(observatory, SOURCE._replace(topic="ztf_20261124_programid1"))
    observatory.schema_turns_up(NEW)
    text = (Path(__file__).parents[4] / "docs" / "archive.md").read_text()
    _, _, behind = text.partition("<!-- test: dead letters -->\n```sh\n")
    commands = behind.partition("```")[0]
    done = subprocess.run(
        ["sh", "-ec", commands],
        cwd=tmp_path,
        env={
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "FINKRAY_CONFIG": str(observatory.config),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert commands.count("\n") == 5
    assert "8 dead letters decoded again: 5 are archived as alerts" in done.stdout
    assert len(list((tmp_path / "letters").iterdir())) == 2


@pytest.mark.parametrize("command", ["list", "show", "export", "redrive"])
def test_every_command_has_examples(
    command: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["finkray", "deadletters", command, "--help"])
    with pytest.raises(SystemExit):
        main()
    assert f"finkray deadletters {command}" in capfd.readouterr().out.partition("Examples:")[2]
