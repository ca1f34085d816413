"""Filters of a few lines of Python."""

from finkray.streamout.filter_file import FilterFile, filter_of_text

BRIGHT = "def bright(magpsf):\n    return magpsf < 17\n"


def python(body: str, arguments: str = "magpsf", head: str = "", name: str = "odd") -> FilterFile:
    """Return a filter of this body, as a file of Python with this head defines it."""
    return filter_of_text(f"{name}.py", f"{head}\ndef {name}({arguments}):\n    {body}\n")
