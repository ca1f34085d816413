"""The settings of the reference catalogues, as a service reads them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from catalogs.catalog import Catalogs
from finkray.settings.catalogs import CatalogSettings
from finkray.settings.model import load

_CONFIG: Final = Path("conf/finkray.toml")


def catalog_settings(environment: Mapping[str, str]) -> CatalogSettings:
    """Read the settings of the catalogues.

    Parameters
    ----------
    environment
        of the process: `FINKRAY__CATALOGS__FOLDER` and its like override conf/finkray.toml
    """
    return load(_CONFIG if _CONFIG.exists() else None, environment).catalogs


def catalogs_of(environment: Mapping[str, str]) -> Catalogs:
    """Open the catalogues on disk of the settings; `environment` as in `catalog_settings`."""
    settings = catalog_settings(environment)
    return Catalogs(settings.root, settings.memory_bytes)
