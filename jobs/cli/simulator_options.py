"""What can be said to the simulator on the command line: options for settings of its section."""

from typing import Annotated, Any, Final

import typer

_SHARE: Final = {"metavar": "SHARE", "show_default": False}

Survey = Annotated[
    str | None,
    typer.Option(metavar="ztf|lsst", help="Simulator: whose alerts.", show_default=False),
]
Alerts = Annotated[
    int | None,
    typer.Option(metavar="N", help="Simulator: how many; 0 is without end.", show_default=False),
]
AlertsPerVisit = Annotated[
    int | None,
    typer.Option(metavar="N", help="Simulator: how many a visit has.", show_default=False),
]
PaceOption = Annotated[
    str | None,
    typer.Option(
        "--pace",
        metavar="PACE",
        help="Simulator: max, realtime (a visit each 37 s), xN (N times as fast), or N/s.",
        show_default=False,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(metavar="N", help="Simulator: the same makes the same.", show_default=False),
]
Poison = Annotated[
    float | None, typer.Option(help="Simulator: broken messages between the alerts.", **_SHARE)
]
Duplicates = Annotated[
    float | None, typer.Option(help="Simulator: alerts that come again.", **_SHARE)
]
OutOfOrder = Annotated[
    float | None, typer.Option(help="Simulator: alerts after their turn.", **_SHARE)
]
Late = Annotated[
    float | None, typer.Option(help="Simulator: alerts with a time of hours ago.", **_SHARE)
]
Oversize = Annotated[
    float | None, typer.Option(help="Simulator: alerts also as one of 9 MB.", **_SHARE)
]
SchemaBump = Annotated[
    str | None,
    typer.Option(
        metavar="AT",
        help="Simulator: the next schema after AT alerts, or from a UTC time on.",
        show_default=False,
    ),
]
TransactionsOption = Annotated[
    float | None,
    typer.Option(
        "--transactions",
        help="Simulator: send in transactions, and abort so many of them.",
        **_SHARE,
    ),
]
ManifestOption = Annotated[
    str | None,
    typer.Option(
        "--manifest",
        metavar="FOLDER",
        help="Simulator: write down what was played, for `finkray simulator check`.",
        show_default=False,
    ),
]


def overrides(**given: Any) -> dict[str, dict[str, Any]]:
    """The settings that were said, by their section."""
    said = {name: value for name, value in given.items() if value is not None}
    return {"simulator": said} if said else {}
