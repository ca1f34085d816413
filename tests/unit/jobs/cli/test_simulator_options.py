"""The options of the simulator are its settings, and go with it alone."""

import inspect

import pytest
from typer.testing import CliRunner

from finkray.settings.model import load
from finkray.settings.simulator import SimulatorSettings
from jobs.cli import main as cli
from jobs.cli.simulator_options import overrides


def test_what_was_said_wins_and_what_was_not_stays() -> None:
    said = overrides(survey="lsst", poison=0.0, late=None, manifest="night")
    settings = load(None, {"FINKRAY__SIMULATOR__LATE": "0.5"}, said).simulator
    assert (settings.survey, settings.poison, settings.late) == ("lsst", 0.0, 0.5)
    assert overrides(survey=None) == {}


def test_each_option_is_a_setting() -> None:
    own = {"service", "config", "simulator", "exit_after", "foreground", "since", "into"}
    options = set(inspect.signature(cli.start).parameters) - own
    assert len(options) == 13
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
    assert "go with it alone" in result.output
