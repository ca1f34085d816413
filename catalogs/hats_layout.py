"""Write a HATS collection, a catalogue and its margin, as the hats library and LSDB read it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalogs.partition import HISTOGRAM_ORDER
from finkray.errors import CatalogError

INDEX: Final = "_healpix_29"

MAIN: Final = "main"
"""Folder of the catalogue in its collection."""

MARGIN: Final = "margin"
"""Folder of its margin."""

_COMPRESSION_LEVEL: Final = 3
"""Level of compression: the library's own 15 takes several times as long and saves a tenth."""


def leaf_path(folder: Path, pixel: tuple[int, int]) -> Path:
    """Return the file of a pixel: `dataset/Norder=…/Dir=…/Npix=….parquet` (HATS, IVOA note)."""
    order, number = pixel
    block = number // 10_000 * 10_000
    return folder / "dataset" / f"Norder={order}" / f"Dir={block}" / f"Npix={number}.parquet"


def write_leaf(folder: Path, pixel: tuple[int, int], rows: pa.Table) -> int:
    """Write the sources of a pixel, in the order of their index; return their number."""
    from hats.io.file_io.file_io import get_parquet_write_table_kwargs
    from hats.io.paths import new_pixel_catalog_file
    from hats.pixel_math import HealpixPixel

    order = np.argsort(rows[INDEX].to_numpy(), kind="stable")
    path = new_pixel_catalog_file(folder, HealpixPixel(*pixel))
    options = get_parquet_write_table_kwargs(
        rows.schema, write_table_kwargs={"compression_level": _COMPRESSION_LEVEL}
    )
    try:
        pq.write_table(rows.take(pa.array(order)), str(path), **options)
    except OSError as error:
        raise CatalogError(f"{path}: cannot be written: {error}") from error
    return rows.num_rows


def finish_catalog(
    folder: Path,
    name: str,
    pixels: Sequence[tuple[int, int]],
    rows: int,
    schema: pa.Schema,
    *,
    histogram: np.ndarray | None = None,
    margin_of: str = "",
    margin_arcsec: float = 0.0,
) -> None:
    """Write the metadata beside the leaves of a catalogue, or of a margin if `margin_of` is given.

    Parameters
    ----------
    histogram
        sources in each pixel of `HISTOGRAM_ORDER`, for the map of the sky that HATS keeps
    """
    from hats.catalog import CatalogType, PartitionInfo, TableProperties
    from hats.io import file_io, paths, write_parquet_metadata
    from hats.io.skymap import write_skymap
    from hats.pixel_math import HealpixPixel

    if pixels:
        write_parquet_metadata(folder)
    else:
        (folder / "dataset").mkdir(parents=True, exist_ok=True)
        for file in ("_metadata", "_common_metadata"):
            pq.write_metadata(schema, folder / "dataset" / file)
    info = PartitionInfo.from_healpix([HealpixPixel(*pixel) for pixel in pixels])
    info.write_to_file(folder / "partition_info.csv")
    more: dict[str, object] = {}
    if margin_of:
        more |= {"primary_catalog": margin_of, "margin_threshold": margin_arcsec}
    elif histogram is not None:
        file_io.write_fits_image(histogram, paths.get_point_map_file_pointer(folder))
        write_skymap(histogram=histogram, catalog_dir=folder, orders=None)
        more |= {"skymap_order": HISTOGRAM_ORDER}
    TableProperties(
        catalog_name=name,
        catalog_type=CatalogType.MARGIN if margin_of else CatalogType.OBJECT,
        total_rows=rows,
        ra_column="ra_deg",
        dec_column="dec_deg",
        healpix_column=INDEX,
        healpix_order=29,
        **more,
    ).to_properties_file(folder)


def finish_collection(folder: Path, name: str) -> None:
    """Write which of the folders is the catalogue and which is its margin."""
    from hats.catalog.dataset.collection_properties import CollectionProperties

    CollectionProperties(
        name=name, hats_primary_table_url=MAIN, all_margins=[MARGIN], default_margin=MARGIN
    ).to_properties_file(folder)


def read_pixels(folder: Path) -> list[tuple[int, int]]:
    """Return order and number of the pixels that have a leaf."""
    lines = (folder / "partition_info.csv").read_text(encoding="utf-8").splitlines()
    names = lines[0].split(",")
    order, number = names.index("Norder"), names.index("Npix")
    cells = [line.split(",") for line in lines[1:] if line]
    return [(int(line[order]), int(line[number])) for line in cells]
