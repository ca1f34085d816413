"""The settings of the reference catalogues, as a service reads them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from catalogs.catalog import Catalogs
from finkray.settings.catalogs import CatalogSettings
from finkray.settings.model import load

_CONFIG: Final = Path("conf/finkray.toml")


def catalog_settings(shared: Mapping[str, Mapping[str, Any]]) -> CatalogSettings:
    """Read the settings of the catalogues.

    Parameters
    ----------
    shared
        the tables that a service was given, `finkray.Service.shared`. Without `catalogs` in it, as
        in a test, conf/finkray.toml counts, and `FINKRAY__CATALOGS__FOLDER` and its like in the
        environment override it
    """
    if "catalogs" in shared:
        return CatalogSettings.model_validate(shared["catalogs"])
    return load(_CONFIG if _CONFIG.exists() else None, os.environ).catalogs


def catalogs_of(shared: Mapping[str, Mapping[str, Any]]) -> Catalogs:
    """Open the catalogues on disk of the settings; `shared` as in `catalog_settings`."""
    settings = catalog_settings(shared)
    return Catalogs(settings.root, settings.memory_bytes)
