"""Noise by key: the same numbers for the same detection, in any order.

A random generator returns numbers one after another; for a measurement of a year ago it would have
to run from there. These numbers are a hash of object and time instead. The hash is the mixer of
SplitMix64 (Steele, Lea and Flood 2014).
"""

import numpy as np
import numpy.typing as npt

from sim.sky.geometry import Floats, Ints

Hashes = npt.NDArray[np.uint64]

_STEP = 0x9E37_79B9_7F4A_7C15
_MASK = 0xFFFF_FFFF_FFFF_FFFF


def keys(seed: int, first: Ints, second: Ints) -> Hashes:
    """Return a hash for each pair of the two arrays' entries."""
    start = np.uint64((seed * _STEP + 1) & _MASK)
    return _mixed(_mixed(first.astype(np.uint64) + start) + second.astype(np.uint64))


def uniform(keys: Hashes, stream: int) -> Floats:
    """Return numbers from 0 to 1; each stream has another set."""
    return (_stream(keys, stream) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(keys: Hashes, stream: int) -> Floats:
    """Return numbers with mean 0 and deviation 1, never beyond 3.5: sums of four uniform ones."""
    quarters = _stream(keys, stream).view(np.uint16).reshape(len(keys), 4)
    total = quarters.sum(axis=1, dtype=np.int64) + 2.0
    return (total / 65_536 - 2) * np.sqrt(3)


def _stream(keys: Hashes, stream: int) -> Hashes:
    return _mixed(keys + np.uint64((stream * _STEP) & _MASK))


def _mixed(values: Hashes) -> Hashes:
    mixed = values + np.uint64(_STEP)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
    return mixed ^ (mixed >> np.uint64(31))
