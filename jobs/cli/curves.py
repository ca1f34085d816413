"""Commands about objects: `finkray lightcurve`, `object`, `cone` and `periodogram`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from finkray.errors import SettingsError
from jobs.cli.common import (
    AsCsv,
    AsJson,
    Config,
    command_context,
    console,
    examples,
    print_json,
    refuse_two_formats,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from jobs.commands.progress import Progress

app = typer.Typer(rich_markup_mode=None)
"""Commands of `finkray` itself."""

Value = TypeVar("Value")

ObjectId = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        show_default=False,
        help="ZTF's objectId, or LSST's diaObjectId or ssObjectId.",
    ),
]
Bands = Annotated[
    list[str] | None,
    typer.Option("--band", metavar="B", help="Only u, g, r, i, z or y; may be repeated."),
]

# A declination such as -12.5 is no option.
_NEGATIVE_NUMBERS = {"ignore_unknown_options": True}


@app.command(
    epilog=examples(
        "finkray lightcurve ZTF20abfcszi",
        "finkray lightcurve ZTF20abfcszi --band g --band r --kind detection --csv > curve.csv",
        "finkray lightcurve 169355936030359646 --start 2026-03-01 --json",
        "finkray lightcurve ZTF20abfcszi --plot curve.png",
    )
)
def lightcurve(
    object_id: ObjectId,
    config: Config = None,
    *,
    band: Bands = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind", metavar="K", help="Only detection, limit or forced; may be repeated."
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(metavar="T", help="From this time of exposure on, UTC, as 2026-03-01T05."),
    ] = None,
    end: Annotated[
        str | None, typer.Option(metavar="T", help="Before this time of exposure, UTC.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the curve into this .png, .pdf or .svg as well."),
    ] = None,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Show the light curve of an object: each measurement once, from alerts and their histories.

    Without an object index (finkray index build) all files of the archive are looked through.
    docs/lightcurves.md explains the columns.
    """
    from jobs.commands.curves import archive_to_read, curve_text, write_csv

    refuse_two_formats(as_csv=as_csv, as_json=as_json)
    if plot is not None and plot.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise typer.BadParameter(f"{plot} ends in none of .png, .pdf and .svg")
    context = command_context(config)
    archive = archive_to_read(context.settings)
    with context.progress.waiting(f"looking for {object_id} in {archive.uri}"):
        points = _usage(
            lambda: archive.lightcurve(object_id, bands=band, start=start, end=end, kinds=kind)
        )
    if plot is not None:
        _draw(context.progress, points, object_id, plot)
    if as_csv:
        write_csv(points)
    elif as_json:
        print_json(points.to_pylist())
    else:
        console().print(curve_text(points))


@app.command(
    "object", epilog=examples("finkray object ZTF20abfcszi", "finkray object ZTF20abfcszi --json")
)
def one_object(object_id: ObjectId, config: Config = None, *, as_json: AsJson = False) -> None:
    """Show the alerts of an object, when each was durable, and what services found for the newest.

    --json prints the same as /api/v1/objects/ID of the page.
    """
    from jobs.commands.curves import archive_to_read
    from jobs.commands.objects import object_text
    from ui.lookups.objects import object_record
    from ui.lookups.records import object_json

    context = command_context(config)
    archive = archive_to_read(context.settings)
    with context.progress.waiting(f"looking for {object_id} in {archive.uri}"):
        record = object_record(archive, object_id)
    if as_json:
        print_json(object_json(record))
    else:
        console().print(object_text(record))


@app.command(
    context_settings=_NEGATIVE_NUMBERS,
    epilog=examples(
        "finkray cone 150.1 2.2 3",
        "finkray cone 10:00:24.0 +02:12:00 1arcmin",
        "finkray cone 7.806 -85.009 10 --json",
    ),
)
def cone(
    ra: Annotated[
        str,
        typer.Argument(
            metavar="RA", show_default=False, help="Degrees, or hours as 10:00:24.0 or 10h00m24s."
        ),
    ],
    dec: Annotated[
        str,
        typer.Argument(
            metavar="DEC", show_default=False, help="Degrees, also as -21:07:12 or -21d07m12s."
        ),
    ],
    radius: Annotated[
        str,
        typer.Argument(
            metavar="RADIUS", show_default=False, help="Arcsec, or with a unit as 1arcmin."
        ),
    ],
    config: Config = None,
    *,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """List the objects with an alert in a circle of the sky (ICRS), the nearest first.

    Without an object index (finkray index build) all files of the archive are looked through.
    """
    from finkray.index.circle import checked_circle
    from jobs.commands.curves import (
        angle_deg,
        archive_to_read,
        cone_text,
        radius_arcsec,
        write_csv,
    )

    refuse_two_formats(as_csv=as_csv, as_json=as_json)
    circle = _usage(
        lambda: checked_circle(
            angle_deg(ra, in_hours=True), angle_deg(dec, in_hours=False), radius_arcsec(radius)
        )
    )
    context = command_context(config)
    archive = archive_to_read(context.settings)
    with context.progress.waiting(f"looking for objects in {archive.uri}"):
        objects = archive.cone(*circle)
    if as_csv:
        write_csv(objects)
    elif as_json:
        print_json(objects.to_pylist())
    else:
        console().print(cone_text(objects))


@app.command(
    epilog=examples(
        "finkray periodogram ZTF18abcdefg",
        "finkray periodogram ZTF18abcdefg --band r --terms 3 --json",
    )
)
def periodogram(
    object_id: ObjectId,
    config: Config = None,
    *,
    band: Bands = None,
    shortest: Annotated[
        float, typer.Option(metavar="DAYS", help="Shortest period that is searched.")
    ] = 0.1,
    terms: Annotated[
        int, typer.Option(metavar="N", help="Terms of the fitted series: 3 for RR Lyrae.")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Show the three highest peaks of an object's periodogram in each band, with daily aliases.

    A band needs 15 detections. Eclipsing binaries show at half of their period.
    """
    from jobs.commands.curves import (
        archive_to_read,
        periodograms,
        periodograms_text,
        without_powers,
    )

    context = command_context(config)
    archive = archive_to_read(context.settings)
    with context.progress.waiting(f"looking for {object_id} in {archive.uri}"):
        points = _usage(lambda: archive.lightcurve(object_id, bands=band, kinds="detection"))
        found = _usage(lambda: periodograms(points, band or (), shortest, terms))
    if as_json:
        print_json(without_powers(found))
    else:
        console().print(periodograms_text(found))


def _draw(progress: "Progress", points: "pa.Table", object_id: str, file: Path) -> None:
    from jobs.commands.curve_picture import draw_curve

    try:
        drawn = draw_curve(points, object_id, file)
    except OSError as error:
        raise SettingsError(f"cannot write {file}: {error.strerror}") from error
    progress.say(f"{file} shows {drawn} of {points.num_rows} points")


def _usage(call: Callable[[], Value]) -> Value:
    """Return what a call returns; an argument that it refuses ends the command with code 2."""
    try:
        return call()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
