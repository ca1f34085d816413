"""Read a HATS catalogue as a source: the Parquet files of all its partitions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from catalogs.formats.parquet import ParquetFile
from catalogs.formats.table_file import Frame
from finkray.errors import CatalogError


def is_hats(folder: Path) -> bool:
    """Whether a folder is a HATS catalogue or collection."""
    names = ("collection.properties", "hats.properties", "properties")
    return any((folder / name).is_file() for name in names)


def open_hats(path: str) -> list[ParquetFile]:
    """Open the partitions of a HATS catalogue, or of the main one of a collection.

    Raises
    ------
    CatalogError
        It is a margin or an index and no catalogue, or the partitions do not have as many rows
        as its properties say.
    """
    import hats
    from hats.catalog import CatalogType
    from hats.io.paths import pixel_catalog_file

    catalog = hats.read_hats(path)
    main = getattr(catalog, "main_catalog", catalog)
    info = main.catalog_info
    kind = CatalogType(info.catalog_type)
    if kind not in (CatalogType.OBJECT, CatalogType.SOURCE):
        raise CatalogError(
            f"{path}: is a HATS {kind.name.lower()}, not a catalogue of objects: set source.path "
            "to the catalogue itself"
        )
    leaves: list[Path] = []
    for pixel in main.get_healpix_pixels():
        leaf = pixel_catalog_file(main.catalog_base_dir, pixel, npix_suffix=info.npix_suffix)
        leaves += _files_of(Path(str(leaf)))
    if not leaves:
        raise CatalogError(f"{path}: the HATS catalogue has no partition")
    _check_rows(path, leaves, info.total_rows)
    frames = _frames(info.model_extra or {})
    return [ParquetFile(leaf, frames) for leaf in leaves]


def _frames(properties: Mapping[str, Any]) -> tuple[Frame, ...]:
    """Return frame and epoch of the properties; the library keeps them without a meaning."""
    epoch = str(properties.get("hats_coordinate_epoch") or "")
    system = str(properties.get("hats_frame") or "")
    return (Frame("hats.properties", system, "", epoch),) if epoch or system else ()


def _files_of(leaf: Path) -> list[Path]:
    if not leaf.is_dir():
        return [leaf]
    return sorted(file for file in leaf.rglob("*.parq*") if file.name[0] not in "._")


def _check_rows(path: str, leaves: Sequence[Path], total: int | None) -> None:
    rows = sum(pq.read_metadata(leaf).num_rows for leaf in leaves)
    if total is not None and rows != total:
        raise CatalogError(
            f"{path}: its partitions have {rows:,} rows, its properties say {total:,} (hats_nrows)"
            ": fetch it again"
        )
