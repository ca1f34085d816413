"""Noise that can be looked up: the same numbers for the same detection, in any order.

A generator gives numbers one after another; to tell what was measured of an object a year ago it
would have to be run from there. These are a hash of who and when instead. The hash is the mixer
of SplitMix64 (Steele, Lea and Flood 2014).
"""

import numpy as np
import numpy.typing as npt

from sim.sky.geometry import Floats, Ints

Hashes = npt.NDArray[np.uint64]

_STEP = 0x9E37_79B9_7F4A_7C15
_MASK = 0xFFFF_FFFF_FFFF_FFFF


def keys(seed: int, one: Ints, other: Ints) -> Hashes:
    """A hash for each pair of the two arrays' entries."""
    start = np.uint64((seed * _STEP + 1) & _MASK)
    return _mixed(_mixed(one.astype(np.uint64) + start) + other.astype(np.uint64))


def uniform(keys: Hashes, stream: int) -> Floats:
    """Numbers from 0 to 1; another set for each stream."""
    return (_stream(keys, stream) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(keys: Hashes, stream: int) -> Floats:
    """Numbers with mean 0 and standard deviation 1, never beyond 3.5: sums of four uniform ones."""
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
