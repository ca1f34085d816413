"""Hashed passwords: a line a user, `name:scrypt:salt:hash`, both in hexadecimal."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from finkray.errors import SettingsError

_USER: Final = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_LINE: Final = re.compile(rf"({_USER.pattern}):scrypt:([0-9a-f]{{32}}):([0-9a-f]{{64}})")

_N, _R, _P = 2**14, 8, 1
"""16 MiB and some 50 ms a try."""


def password_line(user: str, password: str) -> str:
    """Return the line for a user.

    Raises
    ------
    SettingsError
        The name has other characters than letters, digits, `.`, `_`, `@`, `-`, or the password has
        less than 8.
    """
    if not _USER.fullmatch(user):
        raise SettingsError(f"user {user!r}: expected 1 to 64 letters, digits, or any of . _ @ -")
    if len(password) < 8:
        raise SettingsError("the password is too short: expected at least 8 characters")
    salt = secrets.token_bytes(16)
    return f"{user}:scrypt:{salt.hex()}:{_hash(password, salt).hex()}"


def read_passwords(path: Path) -> Mapping[str, tuple[bytes, bytes]]:
    """Return salt and hash of each user.

    Raises
    ------
    SettingsError
        The file cannot be read, has no user, or a line is malformed.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"ui.password_file cannot be read: {error}") from error
    found = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise SettingsError(
                f"ui.password_file: line {number} of {path} is not one that `finkray password` "
                "prints"
            )
        found[match[1]] = (bytes.fromhex(match[2]), bytes.fromhex(match[3]))
    if not found:
        raise SettingsError(
            f"ui.password_file: {path} has no user: finkray password USER >> {path}"
        )
    return found


def is_password(password: str, salt: bytes, expected: bytes) -> bool:
    """Return whether a password has this hash."""
    return hmac.compare_digest(_hash(password, salt), expected)


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P, dklen=32)
