"""Turn the ids of objects into integers, which are the keys of the index.

==========================  ==============================================================
id                          key
==========================  ==============================================================
ZTF's `objectId`            -1 - n, where n < 2^40 has the digits and letters of the name
LSST's `diaObjectId`,       the id itself, which is positive
`ssObjectId`
any other name              a hash below -2^40. Two names may share a key: a look-up compares
                            the names in the archive's files, so it confuses none
no id                       0; no such row is in `objects.arrow`
==========================  ==============================================================
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NO_KEY: Final = 0

_ZTF_NAME: Final = r"^ZTF[0-9]{2}[a-z]{7}$"
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,18}")
_INT64_MAX: Final = 2**63 - 1
_ZTF_END: Final = 2**40
_LETTERS: Final = 7
_WEIGHTS: Final = 26 ** np.arange(_LETTERS - 1, -1, -1, dtype=np.int64)


def keys_of_names(names: pa.Array) -> np.ndarray:
    """Return the key of each name; `NO_KEY` for null and for an empty name."""
    names = names.cast(pa.string())
    keys = np.zeros(len(names), np.int64)
    is_ztf = pc.fill_null(pc.match_substring_regex(names, _ZTF_NAME), False)  # noqa: FBT003
    of_ztf = is_ztf.to_numpy(zero_copy_only=False)
    if of_ztf.any():
        text = "".join(names.filter(is_ztf).to_pylist()).encode()
        chars = np.frombuffer(text, np.uint8).reshape(-1, 12).astype(np.int64)
        year = 10 * (chars[:, 3] - ord("0")) + chars[:, 4] - ord("0")
        letters = (chars[:, 5:] - ord("a")) @ _WEIGHTS
        keys[of_ztf] = -1 - (year * 26**_LETTERS + letters)
    others = np.flatnonzero(~of_ztf)
    if len(others):
        keys[others] = [_key_of_other(name) for name in names.take(pa.array(others)).to_pylist()]
    return keys


def keys_of_numbers(numbers: pa.Array) -> np.ndarray:
    """Return the key of each id that is a number; `NO_KEY` for null, 0 and what is negative."""
    values: np.ndarray = pc.fill_null(numbers.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    return np.where(values > 0, values, NO_KEY)


def keys_of(object_ids: Sequence[str | int]) -> np.ndarray:
    """Return the keys of ids that a user gives."""
    return keys_of_names(pa.array([str(each).strip() for each in object_ids], pa.string()))


def is_hashed(keys: np.ndarray) -> np.ndarray:
    """Return which keys are hashes, so that another name may have the same one."""
    hashed: np.ndarray = keys < -_ZTF_END
    return hashed


def name_of(key: int) -> str | None:
    """Return the id that a key stands for; None for a hash and for no id."""
    if key > 0:
        return str(key)
    if key == NO_KEY or key < -_ZTF_END:
        return None
    year, rest = divmod(-1 - key, 26**_LETTERS)
    letters = []
    for _ in range(_LETTERS):
        rest, letter = divmod(rest, 26)
        letters.append(chr(ord("a") + letter))
    return f"ZTF{year:02d}{''.join(reversed(letters))}"


def _key_of_other(name: str | None) -> int:
    if not name:
        return NO_KEY
    if _NUMBER.fullmatch(name) and int(name) <= _INT64_MAX:
        return int(name)
    digest = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")
    return -_ZTF_END - 1 - digest % (2**63 - _ZTF_END)
