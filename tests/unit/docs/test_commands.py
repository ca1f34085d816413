"""Every command that a page of ours names can be given as it stands there."""

import importlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from jobs.cli.main import app

CHECKOUT = Path(__file__).parents[3]
PAGES = {
    page.name: re.sub(r" +#.*", "", page.read_text())
    for page in (CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md")))
}


def commands() -> list[tuple[str, str]]:
    """Each page's commands of `finkray`, in blocks and in lines."""
    found = set()
    for page, text in PAGES.items():
        blocks = "".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
        found |= {(page, line) for line in re.findall(r"^finkray [^>\n]*", blocks, re.MULTILINE)}
        found |= {(page, line) for line in re.findall(r"`(finkray [a-z][^`\n|]*)`", text)}
    return sorted(found)


def modules() -> list[tuple[str, str]]:
    """Each page's calls of a module of ours, `python -m bench.burst --help`."""
    call = r"python -m ((?:bench|finkray|jobs|sim)\b[^`\n]*)"
    return sorted({(name, line) for name, text in PAGES.items() for line in re.findall(call, text)})


def test_there_are_commands() -> None:
    assert len(commands()) > 40
    assert {"README.md", "operations.md", "archive.md", "kafka.md"} <= {
        page for page, _ in commands()
    }
    assert len(modules()) > 15


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_is_one(page: str, line: str) -> None:
    command: Any = typer.main.get_command(app)
    _, *words = shlex.split(line)
    context = command.make_context("finkray", list(words), resilient_parsing=True)
    while words and words[0] in getattr(command, "commands", ()):
        command = command.commands[words.pop(0)]
        context = command.make_context("finkray", list(words), context, resilient_parsing=True)
    named_alone = line in PAGES[page].split("`") and not words
    assert named_alone or not hasattr(command, "commands"), f"{line} names no command"
    if not hasattr(command, "commands"):
        command.make_parser(context).parse_args(list(words))  # raises at an option that is none


@pytest.mark.parametrize(("page", "line"), modules())
def test_every_module_takes_what_it_is_called_with(page: str, line: str) -> None:
    name, *words = shlex.split(line)
    module = importlib.import_module(name)
    if hasattr(module, "__path__"):
        module = importlib.import_module(f"{name}.__main__")
    if words and words != ["--help"]:
        module._parser().parse_args(words)  # exits at an option that is none
    else:
        assert callable(module.main), page
