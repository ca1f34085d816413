"""The options of the simulator on the command line: some settings of `[simulator]`."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Final, NamedTuple

import typer


class _Option(NamedTuple):
    """An option that stands for the setting of its name."""

    setting: str
    value: type
    metavar: str
    help: str


_OPTIONS: Final = (
    _Option("survey", str, "ztf|lsst", "survey of the alerts"),
    _Option("alerts", int, "N", "number of alerts; 0 plays without end"),
    _Option("alerts_per_visit", int, "N", "alerts of one visit"),
    _Option("pace", str, "PACE", "max, realtime (a visit each 37 s), xN (N times as fast), or N/s"),
    _Option("seed", int, "N", "the same seed makes the same alerts"),
    _Option("strange", float, "PERCENT", "alerts of nine strange kinds, for detectors of outliers"),
    _Option("poison", float, "SHARE", "broken messages between the alerts"),
    _Option("duplicates", float, "SHARE", "alerts that are sent again"),
    _Option("out_of_order", float, "SHARE", "alerts that are sent after their turn"),
    _Option("late", float, "SHARE", "alerts with a time of hours ago"),
    _Option("oversize", float, "SHARE", "alerts that are also sent with a size of 9 MB"),
    _Option("schema_bump", str, "AT", "next schema version after AT alerts, or from a UTC time on"),
    _Option("transactions", float, "SHARE", "send in transactions, and abort this share of them"),
    _Option("manifest", str, "FOLDER", "record what is played, for `finkray simulator check`"),
)


def with_simulator_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of the simulator to a command.

    Parameters
    ----------
    command
        Has a parameter `simulator_options`: the settings of `[simulator]` that the user chose.
    """

    @functools.wraps(command)
    def with_options(**arguments: Any) -> None:
        options = {option.setting: arguments.pop(option.setting) for option in _OPTIONS}
        chosen = {name: value for name, value in options.items() if value is not None}
        command(**arguments, simulator_options=chosen)

    declared = inspect.signature(command).parameters.values()
    parameters = [parameter for parameter in declared if parameter.name != "simulator_options"]
    parameters += [_parameter(option) for option in _OPTIONS]
    # typer reads both.
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {
        parameter.name: parameter.annotation for parameter in parameters
    }
    return with_options


def _parameter(option: _Option) -> inspect.Parameter:
    declared = typer.Option(
        f"--{option.setting.replace('_', '-')}",
        metavar=option.metavar,
        help=f"Simulator: {option.help}.",
        show_default=False,
    )
    return inspect.Parameter(
        option.setting,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[option.value | None, declared],
    )
