"""Read what astropy declares of columns, from the YAML that it writes into other formats.

ECSV has it before the rows, Parquet in `table_meta_yaml`, FITS in COMMENT cards. Beside units it
has the frame of each `SkyCoord`, and the keywords of a FITS header that a table was made from.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from catalogs.formats.table_file import Column, Frame
from finkray.errors import CatalogError

_BEGIN: Final = "--BEGIN-ASTROPY-SERIALIZED-COLUMNS--"
_END: Final = "--END-ASTROPY-SERIALIZED-COLUMNS--"
_CARD_CHARACTERS: Final = 70
"""Characters of text in a COMMENT card; a backslash follows if the next card continues the line."""

_OLD_EPOCHS: Final = (1950.0, 2000.0)

_SYSTEM_KEYS: Final = ("RADESYS", "RADECSYS", "COORDSYS", "COOSYS")
_OF_LETTERS: Final = {"C": "equatorial", "Q": "equatorial", "G": "galactic", "E": "ecliptic"}
"""Frames by the letters that HEALPix writes into COORDSYS."""


def read_header(lines: Sequence[str], what: str) -> Mapping[str, Any]:
    """Return the header in these lines of YAML.

    Raises
    ------
    CatalogError
        It cannot be read; the message says of `what` it is.
    """
    from astropy.table.meta import YamlParseError, get_header_from_yaml

    try:
        header: Mapping[str, Any] = get_header_from_yaml(lines)
    except YamlParseError as error:
        raise CatalogError(f"{what} cannot be read: {error}") from error
    return header


def declared_columns(header: Mapping[str, Any]) -> dict[str, Column]:
    """Return the columns that a header describes, by name."""
    meta = dict(header.get("meta") or {})
    shared = frames_of_keywords(meta)
    own: dict[str, tuple[Frame, ...]] = {}
    for name, value in dict(meta.get("__serialized_columns__") or {}).items():
        frame = _sky_frame(name, value)
        own |= dict.fromkeys(_columns_in(value), frame)
    return {
        entry["name"]: Column(
            entry["name"],
            str(entry.get("unit") or ""),
            str(dict(entry.get("meta") or {}).get("ucd", "")),
            own.get(entry["name"], ()) or shared,
        )
        for entry in header.get("datatype", [])
    }


def comment_lines(comments: Sequence[str]) -> list[str]:
    """Return the lines of YAML in the COMMENT cards of a FITS header; none if there are none."""
    if _BEGIN not in comments or _END not in comments:
        return []
    lines: list[str] = []
    continues = False
    for comment in comments[comments.index(_BEGIN) + 1 : comments.index(_END)]:
        text = comment[:_CARD_CHARACTERS]
        if continues:
            lines[-1] += text
        else:
            lines.append(text)
        continues = len(comment) > _CARD_CHARACTERS
    return lines


def frames_of_keywords(*headers: Mapping[str, Any]) -> tuple[Frame, ...]:
    """Return the frame that FITS keywords declare: those of the first header that has any."""
    for header in headers:
        systems = (str(header[key]) for key in _SYSTEM_KEYS if header.get(key))
        system = next(systems, "").strip()
        system = _OF_LETTERS.get(system.upper(), system)
        equinox, epoch = header.get("EQUINOX", ""), header.get("EPOCH", "")
        if epoch == equinox or (equinox == "" and epoch in _OLD_EPOCHS):
            # EPOCH is the old name of EQUINOX (FITS 4.0, section 8.3).
            equinox, epoch = epoch, ""
        if system or equinox != "" or epoch != "":
            keys = [key for key in (*_SYSTEM_KEYS, "EQUINOX", "EPOCH") if key in header]
            return (Frame(", ".join(keys), system, str(equinox), str(epoch)),)
    return ()


def _sky_frame(name: str, column: Any) -> tuple[Frame, ...]:
    """Return the frame of a `SkyCoord`; none of a column of another class."""
    if not isinstance(column, Mapping) or "frame" not in column:
        return ()
    return (Frame(f"SkyCoord {name}", str(column["frame"]), str(column.get("equinox", ""))),)


def _columns_in(value: Any) -> list[str]:
    """Return the names of the stored columns that a serialized column is made of."""
    if not isinstance(value, Mapping):
        return []
    name = value.get("name")
    names = [name] if isinstance(name, str) else []
    return names + [below for item in value.values() for below in _columns_in(item)]
