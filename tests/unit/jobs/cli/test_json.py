"""With `--json` standard output has one whole document, or nothing: never an error."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from typer.main import get_command

from finkray.host.exit_codes import CommandExit
from jobs.cli.main import app
from tests.support.commands import Finkray

VALUES: Final = {
    "service": "crossmatch",
    "object_id": "ZTF20abcfcszi",
    "ra": "10.5",
    "dec": "10.5",
    "radius": "5",
    "partition": "0",
    "offset": "0",
    "night": "2026-01-01",
    "begins": "2026-01-01",
    "ends": "2026-01-02",
    "survey": "ztf",
}
"""Values of arguments that must be of a form; any word does for the others."""


def with_json(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of each command that takes `--json`, with its arguments."""
    for name, each in getattr(command, "commands", {}).items():
        yield from with_json(each, (*words, name))
    if any("--json" in parameter.opts for parameter in command.params):
        for each in (each for each in command.params if each.required):
            value = VALUES.get(each.name, "nosuch")
            words += (value,) if each.param_type_name == "argument" else (each.opts[0], value)
        yield (*words, "--json")


COMMANDS: Final = sorted(with_json(get_command(app)))


def test_there_are_such_commands() -> None:
    assert len(COMMANDS) > 30


ASK_OTHERS: Final = ("check", "subscriber", "service check")
"""Commands that wait for Kafka or load a second of libraries before they look for the archive."""

ASK_THE_ARCHIVE: Final = [words for words in COMMANDS if not " ".join(words).startswith(ASK_OTHERS)]


@pytest.mark.parametrize("words", ASK_THE_ARCHIVE, ids=" ".join)
def test_without_an_archive_there_is_a_whole_document_or_nothing(
    words: tuple[str, ...], finkray: Finkray
) -> None:
    answer = finkray(*words, FINKRAY__KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1")
    if answer.stdout:
        json.loads(answer.stdout)
        assert answer.returncode in (CommandExit.DONE, CommandExit.NO)
    else:
        assert answer.stderr.splitlines()[-1].startswith("finkray: ")
        assert answer.returncode in (CommandExit.NO, CommandExit.SETTINGS, CommandExit.UNAVAILABLE)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_of_a_wrong_setting_there_is_nothing(words: tuple[str, ...], finkray: Finkray) -> None:
    answer = finkray(*words, FINKRAY__UI__PORT="x")
    if words[:1] == ("check",):  # it answers whether the settings are right
        assert [each["ok"] for each in json.loads(answer.stdout)] == [False]
        return
    assert answer.stdout == ""
    assert answer.stderr.startswith("finkray: ")
    assert answer.returncode == CommandExit.SETTINGS
