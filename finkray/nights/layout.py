"""Paths of the built nights of an archive, and of their narrow columns.

    hats/nights/<obs_night>/collection.properties          names the generation that readers open
    hats/nights/<obs_night>/g<N>/narrow/topic=…/…/hour=…/alerts.parquet
    hats/nights/<obs_night>/g<N>/narrow_sources.parquet     the hourly files that these were made of

Narrow columns have the names and types of the hourly files, and lie in folders of the same names.
"""

import re
from typing import Final

import pyarrow as pa

from finkray.storage.contract import Storage
from finkray.storage.layout import ALERTS_FOLDER

HATS_FOLDER: Final = "hats"
COLLECTION_FILE: Final = "collection.properties"
NARROW_FOLDER: Final = "narrow"
NARROW_FILE: Final = "alerts.parquet"
SOURCES_FILE: Final = "narrow_sources.parquet"

SOURCES: Final = pa.schema(
    [
        ("path", pa.string()),
        ("size_bytes", pa.int64()),
        ("rows", pa.int64()),
        ("night_rows", pa.int64()),
    ]
)
"""Hourly files with alerts of a night: all rows of the file, and those of the night."""

LEFT_OUT: Final = b"left_out"
"""Key in the metadata of the table of sources: names of columns that are not narrow, as JSON."""

_GENERATION = re.compile(rb"^finkray_generation\s*[=:]\s*(\d+)\s*$", re.MULTILINE)


def generation_folder(night_folder: str, generation: int) -> str:
    """Return the folder of a generation of a night."""
    return f"{night_folder}/g{generation}"


def committed_generation(storage: Storage, night_folder: str) -> int | None:
    """Return the number of the generation that readers open; None if there is none."""
    data = storage.read(f"{night_folder}/{COLLECTION_FILE}")
    found = None if data is None else _GENERATION.search(data)
    return None if found is None else int(found[1])


def narrow_file(generation: str, hour_folder: str) -> str:
    """Return the file of narrow columns of the alerts of an hourly folder.

    Parameters
    ----------
    generation
        its folder
    hour_folder
        folder of the archive, as ``alerts/topic=…/year=…/month=…/day=…/hour=…``
    """
    below = hour_folder.removeprefix(f"{ALERTS_FOLDER}/")
    return f"{generation}/{NARROW_FOLDER}/{below}/{NARROW_FILE}"


def is_narrow(data_type: pa.DataType) -> bool:
    """Return whether values of a type have neither bytes nor lists in them."""
    if pa.types.is_struct(data_type):
        fields = [data_type.field(number) for number in range(data_type.num_fields)]
        return all(is_narrow(field.type) for field in fields)
    wide = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_nested, pa.types.is_null)
    return not any(is_wide(data_type) for is_wide in wide)
