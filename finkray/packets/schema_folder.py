"""Schemas by their id from a folder of `.avsc` files.

`<id>.avsc` is a schema in one file. `<major>/<minor>/<name>.alert.avsc` is one of LSST's, as
https://github.com/lsst/alert_packet lays them out: its id is 100 x major + minor, and the records
that it names stand in files of their names beside it.
"""

from pathlib import Path

from finkray.errors import SchemaError, SchemaUnavailable
from finkray.packets.schema_parts import as_one_text


class SchemaFolder:
    """A folder of schemas; looked into anew for each question.

    Parameters
    ----------
    folder
        where they are
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __str__(self) -> str:
        return f"the folder {self._folder}"

    def find(self, schema_id: int) -> str | None:
        """The schema of that id as one text; None if the folder has none.

        Raises
        ------
        SchemaError
            if there is one and it cannot be read or understood, a part of it is missing, or
            there are several
        SchemaUnavailable
            if there is no such folder
        """
        if not self._folder.is_dir():
            raise SchemaUnavailable(f"there is no folder {self._folder}")
        major, minor = divmod(schema_id, 100)
        parted = (self._folder / str(major) / str(minor)).glob("*.alert.avsc")
        candidates = [self._folder / f"{schema_id}.avsc", *sorted(parted)]
        found = [path for path in candidates if path.is_file()]
        if len(found) > 1:
            raise SchemaError(f"several files are schema {schema_id}: {', '.join(map(str, found))}")
        return read_schema_file(found[0]) if found else None


def read_schema_file(path: Path) -> str:
    """The schema in a file as one text, with the named types that stand in files beside it.

    Raises
    ------
    SchemaError
        if it cannot be read or understood, or a part of it is missing
    """

    def part(name: str) -> str | None:
        beside = path.parent / f"{name}.avsc"
        return beside.read_text(encoding="utf-8") if beside.is_file() else None

    try:
        return as_one_text(path.read_text(encoding="utf-8"), part)
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(f"{path} cannot be read: {error}") from error
    except SchemaError as error:
        raise SchemaError(f"{path}: {error}") from error
