"""Format numbers, durations, times and foreign text for people."""

import math
import unicodedata
from datetime import UTC, datetime

THIN_SPACE = "\u2009"
"""Separator of groups of three digits, which nobody takes for a decimal point or comma."""

_BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of control and format characters, surrogates and line separators."""


def visible_text(text: str) -> str:
    r"""Return text on one line, with control and bidi characters as escapes: `\x1b`, `\u202e`.

    Shown as they are, they could clear a terminal, forge a line of output or reverse its order.
    """
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode("ascii")
        if unicodedata.category(char) in _INVISIBLE
        else char
        for char in text
    )


def visible_lines(text: str) -> str:
    """Return text with its line breaks, and all other control and bidi characters as escapes."""
    return "\n".join(visible_text(line.expandtabs()) for line in text.split("\n"))


def clipped(text: str, width: int) -> str:
    """Return at most `width` characters of a text; an ellipsis stands for the rest."""
    return text if len(text) <= width else text[: width - 1] + "…"


def error_text(error: BaseException) -> str:
    """Return class and text of an error; the class alone if a user's class raises at its text."""
    name = type(error).__name__
    try:
        return f"{name}: {error}"
    except Exception:  # noqa: BLE001 - it may raise anything
        return f"{name}, which has no text"


def count_text(count: int) -> str:
    """Return a whole number in groups of three digits: 12 345."""
    return f"{count:,}".replace(",", THIN_SPACE)


def share_text(count: int, whole: int) -> str:
    """Return a share as a percentage: 12 %, 0.4 %, < 0.1 %; a dash if the whole is 0."""
    if whole <= 0:
        return "-"
    percent = 100 * count / whole
    if 0 < percent < 0.1:
        return "< 0.1 %"
    # 100 % is shown only if the share is the whole.
    digits = 0 if percent in (0, 100) or 9.95 <= percent < 99 else 1
    shown = min(percent, 99.9) if count < whole else percent
    return f"{shown:.{digits}f} %"


def rate_text(per_s: float) -> str:
    """Return a rate with its significant digits: 0.4, 12, 3 045."""
    return f"{per_s:.1f}" if 0 < per_s < 9.95 else count_text(round(per_s))


def bytes_text(size: float) -> str:
    """Return bytes in the units of the settings, with three digits: 1.25 GiB."""
    value, unit = float(size), 0
    while value >= 999.5 and unit < len(_BYTE_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    digits = 0 if unit == 0 or value >= 99.95 else (1 if value >= 9.995 else 2)
    return f"{value:.{digits}f} {_BYTE_UNITS[unit]}"


def duration_text(seconds: float) -> str:
    """Return a duration: 340 ms, 1.2 s, 45 s, 3 min 20 s, 4 h 12 min, 2 d 3 h.

    It is negative if two machines' clocks differ, and a dash if it is not a finite number.
    """
    if not math.isfinite(seconds):
        return "-"
    size = abs(seconds)
    return ("-" if seconds < 0 else "") + (_short(size) if size < 59.5 else _long(round(size)))


def _short(seconds: float) -> str:
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"


def _long(seconds: int) -> str:
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 86400:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{count_text(seconds // 86400)} d {seconds % 86400 // 3600} h"


def time_text(at: datetime) -> str:
    """Return a time in UTC: 2026-11-24 03:12:45 UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def durable_text(waiting: int, durable_s: float | None) -> str:
    """Return how long a visit took to be durable, or how many of its alerts still wait."""
    if waiting:
        return f"{count_text(waiting)} wait"
    return "?" if durable_s is None else duration_text(durable_s)
