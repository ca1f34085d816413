"""The commands `finkray catalog …` for reference catalogues."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finkray.errors import CatalogError
from finkray.settings.catalogs import RemoteSettings
from finkray.settings.model import load
from jobs.cli.common import AsJson, Config, WholeSummaries, config_file, examples, print_json
from jobs.commands.progress import Progress

if TYPE_CHECKING:
    from catalogs.store import CatalogStore

_Name = Annotated[
    str,
    typer.Argument(metavar="NAME", show_default=False, help="Name of a catalogue that was added."),
]


catalog = typer.Typer(
    help="Reference catalogues: describe, build into sky shards, use (docs/catalogs.md).",
    epilog=examples(
        "finkray catalog add gcvs.toml",
        "finkray catalog build gcvs",
        "finkray catalog list",
    ),
    no_args_is_help=True,
    cls=WholeSummaries,
)


@catalog.command(epilog=examples("finkray catalog add gcvs.toml"))
def add(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", show_default=False, help="Description of the catalogue (TOML)."
        ),
    ],
    config: Config = None,
) -> None:
    """Add a catalogue, or replace the description of one.

    The command opens the files and compares their columns with the description; it builds nothing.
    """
    from catalogs.description import read_description
    from catalogs.sources import open_source

    description = read_description(file)
    open_source(description)
    name = description.catalog.name
    _store(config).add(description)
    Progress().say(f"{name} {description.catalog.version} is added")
    Progress().tell(f"To build it: finkray catalog build {name}")


@catalog.command(epilog=examples("finkray catalog build gcvs", "finkray catalog build --all"))
def build(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", show_default=False, help="The catalogues to build."),
    ] = None,
    config: Config = None,
    *,
    build_all: Annotated[
        bool, typer.Option("--all", help="Build all catalogues whose version is not built yet.")
    ] = False,
) -> None:
    """Build the described version, and use it from the next batch of alerts on.

    The build fails on contradicting units, missing columns, duplicate ids, sources without a
    position and files that are cut short.
    """
    from catalogs.build import build as build_catalog

    store = _store(config)
    to_build = list(names or ())
    if build_all:
        to_build += [name for name in store.names() if not _is_built(store, name)]
    elif not to_build:
        raise typer.BadParameter("expected a name, or --all", param_hint="NAME")
    for name in to_build:
        description = store.description(name)
        with _progress(f"Building {name} {description.catalog.version}") as report:
            built = build_catalog(store, description, report)
        left_out = _left_out(built.dropped_null_positions, built.dropped_duplicate_ids)
        Progress().say(
            f"{name} {description.catalog.version}: {built.rows:,} sources in "
            f"{built.shards:,} shards, {built.data_bytes / 1e6:.1f} MB{left_out}"
        )


@catalog.command("list", epilog=examples("finkray catalog list --json"))
def list_(config: Config = None, *, as_json: AsJson = False) -> None:
    """List the catalogues with the version in use, its number of sources and the radius.

    Catalogues on the web, from the settings, come last.
    """
    settings = load(config_file(config), os.environ).catalogs
    store = _store(config)
    rows = [_summary(store, name) for name in store.names()]
    rows += [_web_summary(name, remote) for name, remote in settings.remote.items()]
    if as_json:
        print_json(rows)
    elif not rows:
        Progress().say(f"no catalogue in {store.folder}")
    for row in [] if as_json else rows:
        state = f"{row['version']}  {row['rows']:,} sources" if row["version"] else "not built"
        state = f"on the web, {row['web']}" if row["web"] else state
        Progress().say(f"{row['name']:<16} {state}  within {row['radius_arcsec']:g} arcsec")


@catalog.command(epilog=examples("finkray catalog show gcvs"))
def show(name: _Name, config: Config = None, *, as_json: AsJson = False) -> None:
    """Show the description of a catalogue and its versions."""
    store = _store(config)
    description = store.description(name)
    versions = {version: asdict(store.built(name, version)[1]) for version in store.versions(name)}
    if as_json:
        record = {
            "current": store.current(name),
            "description": json.loads(description.to_json()),
            "versions": versions,
        }
        print_json(record)
        return
    say = Progress().say
    say(f"{name}, described as version {description.catalog.version}")
    say(f"  source    {description.source.path}")
    say(f"  radius    {description.catalog.radius_arcsec:g} arcsec")
    say(f"  columns   {', '.join(description.catalog.carried) or 'none'}")
    say(f"  epoch     {description.position.epoch_year:g}")
    motions = "applied up to the time of the alert" if description.proper_motion.given else "none"
    say(f"  motions   {motions}")
    for version, built in versions.items():
        state = "in use" if version == store.current(name) else "not in use"
        day = datetime.fromtimestamp(built["at_unix_s"], UTC).strftime("%Y-%m-%d")
        left_out = _left_out(built["dropped_null_positions"], built["dropped_duplicate_ids"])
        say(
            f"  {version}: {state}, built {day}, {built['rows']:,} sources, "
            f"{built['shards']:,} shards, margins {built['margin_arcsec']:.1f} arcsec, "
            f"{built['data_bytes'] / 1e6:.1f} MB{left_out}"
        )


@catalog.command(epilog=examples("finkray catalog use gcvs 2023-09"))
def use(
    name: _Name,
    version: Annotated[
        str,
        typer.Argument(
            metavar="VERSION", show_default=False, help="A built one, as in `finkray catalog show`."
        ),
    ],
    config: Config = None,
) -> None:
    """Use another built version, from the next batch of alerts on."""
    store = _store(config)
    store.description(name)
    store.use(name, version)
    Progress().say(f"{name}: version {version} is in use")


@catalog.command(
    epilog=examples(
        "finkray catalog remove gcvs --version 2022-06", "finkray catalog remove gcvs --yes"
    )
)
def remove(
    name: _Name,
    config: Config = None,
    *,
    version: Annotated[
        str | None,
        typer.Option(metavar="V", help="Remove this version only; it must not be in use."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Remove a catalogue or one of its versions; the source files remain."""
    store = _store(config)
    store.description(name)
    if version is None and not yes:
        typer.confirm(f"Remove {name} with all its versions?", abort=True)
    store.remove(name, version)
    Progress().say(f"{name}{f' {version}' if version else ''} is removed")


def _store(config: Path | None) -> "CatalogStore":
    from catalogs.store import CatalogStore

    return CatalogStore(load(config_file(config), os.environ).catalogs.root)


def _is_built(store: "CatalogStore", name: str) -> bool:
    return store.description(name).catalog.version in store.versions(name)


def _summary(store: "CatalogStore", name: str) -> dict[str, Any]:
    version = store.current(name)
    description = store.description(name)
    rows = None
    if version:
        description, built = store.built(name, version)
        rows = built.rows
    return {
        "name": name,
        "version": version,
        "rows": rows,
        "radius_arcsec": description.catalog.radius_arcsec,
        "versions": store.versions(name),
        "web": None,
    }


def _web_summary(name: str, remote: RemoteSettings) -> dict[str, Any]:
    return {
        "name": name,
        "version": None,
        "rows": None,
        "radius_arcsec": remote.radius_arcsec,
        "versions": [],
        "web": remote.table,
    }


def _left_out(null_positions: int, duplicate_ids: int) -> str:
    texts = []
    if null_positions:
        texts.append(f"{null_positions:,} without a position")
    if duplicate_ids:
        texts.append(f"{duplicate_ids:,} with the id of another source")
    return f"; left out: {', '.join(texts)}" if texts else ""


@contextmanager
def _progress(text: str) -> Iterator[Callable[[str], None]]:
    with Progress().waiting(text) as report:
        try:
            yield report
        except OSError as error:
            raise CatalogError(f"{text}: {error}") from error
