"""The options of the simulator are its settings, and apply to its commands only."""

import inspect
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from finkray.settings.model import load
from finkray.settings.simulator import SimulatorSettings
from jobs.cli import main as cli
from jobs.cli.simulator_options import with_simulator_options
from jobs.cli.start import start


def test_an_option_that_is_given_replaces_the_setting_and_no_other() -> None:
    given: dict[str, Any] = {}
    app = typer.Typer()

    @app.command()
    @with_simulator_options
    def command(name: str, *, simulator_options: dict[str, Any]) -> None:
        given.update(simulator_options, name=name)

    result = CliRunner().invoke(app, ["x", "--survey", "lsst", "--poison", "0", "--alerts", "3"])
    assert result.exit_code == 0, result.output
    assert given == {"name": "x", "survey": "lsst", "poison": 0.0, "alerts": 3}
    given.pop("name")
    env = {"FINKRAY__SIMULATOR__LATE": "0.5"}
    settings = load(None, env, {"simulator": given}).simulator
    assert (settings.survey, settings.poison, settings.late) == ("lsst", 0.0, 0.5)


def test_each_option_is_a_setting() -> None:
    own = {
        "name",
        "config",
        "simulator",
        "exit_after",
        "foreground",
        "since",
        "into",
        "new_archive",
    }
    options = set(inspect.signature(start).parameters) - own
    assert len(options) == 14
    assert options <= set(SimulatorSettings.model_fields)


def test_each_option_stands_in_the_help() -> None:
    text = CliRunner().invoke(cli.app, ["start", "--help"]).output
    for option in ("--survey", "--poison", "--schema-bump", "--transactions", "--out-of-order"):
        assert option in text


@pytest.mark.parametrize(
    "command", [["start", "ui", "--late", "0.1"], ["start", "archive", "--late", "0.1"]]
)
def test_they_go_with_the_simulator_alone(command: list[str]) -> None:
    result = CliRunner().invoke(cli.app, command)
    assert result.exit_code == 2
    assert "options of the simulator need" in result.output
