"""Small catalogues for tests, built as any other, and what astropy says about them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.coordinates import SkyCoord, search_around_sky

from catalogs.build import build
from catalogs.catalog import Catalogs
from catalogs.description import Description
from catalogs.sources import open_source
from catalogs.store import Built
from finkray.errors import CatalogError

ARCSEC = 1 / 3600
EDGE_ARCSEC = 1e-6
"""So near to the radius, rounding decides."""

ANGLES = {
    "deg": ("deg", "DEG", "degree", "Degrees", "DEGREES", "[deg]", "(degrees)", " deg ", "°"),
    "rad": ("rad", "RAD", "radian", "RADIANS", "Radians"),
    "hourangle": ("h", "H", "hr", "hour", "Hours", "hourangle", "hour angle"),
    "arcmin": ("arcmin", "ARCMIN", "arcminutes", "'"),
    "arcsec": ("arcsec", "Arcseconds", "asec", '"', "''"),
    "mas": ("mas", "MAS", "milliarcsec", "milliarcseconds"),
    "uas": ("uas", "µas", "microarcsec"),
    "0.001 deg": ("0.001 deg", "1e-3deg", "10**-3 deg", "10^-3 degrees", "mdeg"),
}
"""Spellings of each unit of angle in catalogue files."""


def describe(
    source: Path, name: str = "made", version: str = "1", radius_arcsec: float = 2.0, **more: Any
) -> Description:
    """Describe a file with the columns id, ra and dec."""
    catalog = {
        "name": name,
        "version": version,
        "radius_arcsec": radius_arcsec,
        "columns": ("id",),
        **more.pop("catalog", {}),
    }
    return Description.model_validate(
        {
            "catalog": catalog,
            "source": {"path": str(source), **more.pop("files", {})},
            "position": {"ra": "ra", "dec": "dec", **more.pop("position", {})},
            **more,
        }
    )


def make(folder: Path, description: Description) -> Built:
    """Add a catalogue to the store in a folder, and build it."""
    from catalogs.store import CatalogStore

    store = CatalogStore(folder)
    store.add(description)
    return build(store, description)


def made(
    folder: Path,
    ra_deg: Sequence[float] | np.ndarray,
    dec_deg: Sequence[float] | np.ndarray,
    *,
    memory_bytes: int = 100_000_000,
    columns: dict[str, Any] | None = None,
    **more: Any,
) -> Catalogs:
    """Build a catalogue of sources at these positions, with their number as id."""
    source = folder / f"{more.get('version', '1')}.parquet"
    rows = {"id": np.arange(len(ra_deg)), "ra": np.asarray(ra_deg, float)}
    pq.write_table(pa.table({**rows, "dec": np.asarray(dec_deg, float), **(columns or {})}), source)
    make(folder, describe(source, **more))
    return Catalogs(folder, memory_bytes)


def alerts(ra_deg: Any, dec_deg: Any, mjd_tai: Any = None) -> pa.Table:
    """Return positions as a cross-match takes them."""
    table = pa.table({"ra_deg": pa.array(ra_deg, pa.float64())})
    table = table.append_column("dec_deg", pa.array(dec_deg, pa.float64()))
    if mjd_tai is not None:
        table = table.append_column("mjd_tai", pa.array(mjd_tai, pa.float64()))
    return table


def assert_as_astropy(
    answer: pa.Table, positions: pa.Table, sources: SkyCoord, radius: float
) -> None:
    """Check that the answer to alerts with positions is that of astropy, row by row."""
    here = SkyCoord(positions["ra_deg"].to_numpy(), positions["dec_deg"].to_numpy(), unit="deg")
    nearest, separation, _ = here.match_to_catalog_sky(sources)
    wide = (radius + 2 * EDGE_ARCSEC) * units.arcsec
    which, _, apart, _ = search_around_sky(here, sources, wide)
    for row, (found, said) in enumerate(zip(answer.to_pylist(), separation.arcsec, strict=True)):
        around = apart.arcsec[which == row]
        if np.any(np.abs(around - radius) < EDGE_ARCSEC):
            continue
        inside = around[around <= radius]
        assert found["reason"] is None
        assert found["number"] == len(inside)
        if not len(inside):
            assert (found["status"], found["nearest"]) == ("none", None)
            assert said > radius
            continue
        assert found["status"] == "match"
        assert abs(found["separation_arcsec"] - said) < 1e-8
        if np.sum(np.abs(around - said) < 1e-8) == 1:
            assert found["nearest"]["id"] == nearest[row]


def rows_of(path: Path, columns: Sequence[str] = ("id",), **more: Any) -> list[dict[str, Any]]:
    """Read the rows of a source as a build reads them: the position's columns and those carried."""
    catalog = {"columns": tuple(columns), **more.pop("catalog", {})}
    source = open_source(describe(path, catalog=catalog, **more))
    return [row for piece in source.pieces() for row in piece.to_pylist()]


def values_of(path: Path, column: str, **more: Any) -> list[Any]:
    """Read the values of one carried column of a source."""
    return [row[column] for row in rows_of(path, (column,), **more)]


def refusal(path: Path, columns: tuple[str, ...] = ("id",), **more: Any) -> str:
    """Return the error with which a file is refused; it names the file."""
    with pytest.raises(CatalogError) as error:
        rows_of(path, columns, **more)
    assert str(path) in str(error.value)
    return str(error.value)
