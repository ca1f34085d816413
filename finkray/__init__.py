"""finkray: a Ray-based distributed alert broker with Spark interop."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finkray.ledger.follow import Durable
    from finkray.reader import Archive, lightcurve, open_archive
    from finkray.services.service import Service, service

__version__ = "0.1.0"

__all__ = ["Archive", "Durable", "Service", "__version__", "lightcurve", "open_archive", "service"]

_MODULES = {
    "Archive": "finkray.reader",
    "Durable": "finkray.ledger.follow",
    "Service": "finkray.services.service",
    "lightcurve": "finkray.reader",
    "open_archive": "finkray.reader",
    "service": "finkray.services.service",
}


def __getattr__(name: str) -> Any:
    # These modules import pyarrow's datasets and with them pandas, which takes a second: they are
    # imported at the first use of one of their names.
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
