"""Where a service finds the reference catalogues."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from catalogs.catalog import Catalogs
from finkray.settings.model import load

_CONFIG: Final = Path("conf/finkray.toml")


def catalogs_of(environment: Mapping[str, str]) -> Catalogs:
    """The catalogues of the settings.

    Parameters
    ----------
    environment
        of the process: `FINKRAY__CATALOGS__FOLDER` and `FINKRAY__CATALOGS__MEMORY_BYTES` stand
        before what conf/finkray.toml says
    """
    settings = load(_CONFIG if _CONFIG.exists() else None, environment).catalogs
    return Catalogs(settings.root, settings.memory_bytes)
