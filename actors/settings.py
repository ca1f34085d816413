"""Where a service finds the reference catalogues."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from catalogs.catalog import Catalogs
from finkray.settings.catalogs import CatalogSettings
from finkray.settings.model import load

_CONFIG: Final = Path("conf/finkray.toml")


def catalog_settings(environment: Mapping[str, str]) -> CatalogSettings:
    """What the settings say of the catalogues.

    Parameters
    ----------
    environment
        of the process: `FINKRAY__CATALOGS__FOLDER` and its like stand before what
        conf/finkray.toml says
    """
    return load(_CONFIG if _CONFIG.exists() else None, environment).catalogs


def catalogs_of(environment: Mapping[str, str]) -> Catalogs:
    """The catalogues on disk that the settings mean; the parameter as of `catalog_settings`."""
    settings = catalog_settings(environment)
    return Catalogs(settings.root, settings.memory_bytes)
