"""The help of each command says what it does, with an example, and explains each option."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from jobs.cli.main import app


def commands(command: Any, words: tuple[str, ...] = ("finkray",)) -> Iterator[tuple[str, Any]]:
    """Each command and group below a command, with the words that call it."""
    yield " ".join(words), command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*words, name))


ALL = dict(commands(typer.main.get_command(app)))


def help_of(words: str) -> str:
    """What `--help` prints."""
    first, *others = words.split()
    command = ALL["finkray"]
    context = command.context_class(command, info_name=first, max_content_width=100)
    for word in others:
        command = command.commands[word]
        context = command.context_class(command, info_name=word, parent=context)
    text: str = command.get_help(context)
    return text


@pytest.mark.parametrize("words", ALL)
def test_help_is_complete(words: str) -> None:
    command, text = ALL[words], help_of(words)
    says = (command.help or "").strip().partition("\n\n")[0].split()
    assert says, "says nothing"
    assert says[-1].endswith("."), f"is no sentence: {says}"
    assert "..." not in " ".join(says)
    example = rf"Examples:\n(?: +.*\n)*? +{words} "
    assert re.search(example if words != "finkray prepare" else example[:-1], text), "no example"
    for parameter in command.params:
        assert parameter.help, f"{parameter.name} is not explained"
    untold = re.findall(r"--[a-z-]+ <(?!ray)[a-z ]+>", text)
    assert not untold, f"a type in place of a word: {untold}"
