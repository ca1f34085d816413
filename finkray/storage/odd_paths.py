"""Names that a store does not keep as they are. Pure."""

import re
from typing import Final

OBJECT_ODD: Final = re.compile(r"[\x00-\x1f\x7f\\*]")
"""Characters that object stores, or their client library, do not keep as they are."""

HDFS_ODD: Final = re.compile(r"[\x00-\x1f\x7f\\*:]")
"""HDFS refuses colons; its tools take stars and backslashes for patterns."""


def refuse_odd_path(path: str, odd: re.Pattern[str]) -> None:
    """Check that a store keeps a path as it is.

    Raises
    ------
    ValueError
        if a part between slashes is empty, `.` or `..`, or a character is not kept
    """
    if path and any(segment in ("", ".", "..") for segment in path.split("/")):
        raise ValueError(f"{path!r} has an empty part, '.' or '..' between slashes: leave it out")
    found = odd.search(path)
    if found:
        raise ValueError(
            f"{path!r} has the character {found[0]!r}, which stores do not keep as it is: use "
            "letters, digits, '-', '_', '.', '='"
        )
