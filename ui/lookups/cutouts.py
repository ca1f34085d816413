"""The images of a packet as PNG: astropy reads the FITS file, numpy and zlib write the PNG."""

import io
import struct
import zlib
from typing import Final

import numpy as np

from finkray.adapter import fits_bytes
from ui.lookups.records import HIGH_PERCENT, LOW_PERCENT

MOST_PIXELS: Final = 1 << 20


def png_of_cutout(cutout: bytes) -> bytes:
    """Return an image as PNG: asinh between two percentiles, the first row at the bottom.

    Raises
    ------
    ValueError
        The bytes are no FITS image, or one that is too large.
    """
    return _png(_stretched(_pixels(cutout)))


def _pixels(cutout: bytes) -> np.ndarray:
    from astropy.io import fits

    try:
        with fits.open(io.BytesIO(fits_bytes(cutout)), memmap=False) as units:
            data = next(
                (unit.data for unit in units if getattr(unit, "data", None) is not None), None
            )
    except (OSError, TypeError, KeyError, IndexError) as error:
        raise ValueError(f"the cutout is no FITS image: {error}") from error
    if data is None or data.ndim != 2 or not 0 < data.size <= MOST_PIXELS:
        raise ValueError(
            f"the cutout has no image of two dimensions with 1 to {MOST_PIXELS} pixels"
        )
    return np.asarray(data, np.float64)


def _stretched(pixels: np.ndarray) -> np.ndarray:
    good = pixels[np.isfinite(pixels)]
    if not good.size:
        return np.zeros(pixels.shape, np.uint8)
    low, high = np.percentile(good, [LOW_PERCENT, HIGH_PERCENT])
    share = np.clip((np.nan_to_num(pixels, nan=low) - low) / max(high - low, 1e-30), 0.0, 1.0)
    grey: np.ndarray = (np.arcsinh(10 * share) / np.arcsinh(10.0) * 255).astype(np.uint8)
    return grey[::-1]


def _png(grey: np.ndarray) -> bytes:
    height, width = grey.shape
    rows = np.zeros((height, width + 1), np.uint8)
    rows[:, 1:] = grey
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
