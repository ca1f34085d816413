"""Read an archive. Any number of readers may do so at any time, beside the one writer."""

from finkray.reader.archive import Archive
from finkray.reader.opening import lightcurve, open_archive

__all__ = ["Archive", "lightcurve", "open_archive"]
