"""Find schemas by their id in a folder of `.avsc` files.

`<id>.avsc` is a schema in one file. `<major>/<minor>/<name>.alert.avsc` is one of LSST's, as
https://github.com/lsst/alert_packet lays them out: its id is 100 x major + minor, and the records
that it names are in files of their names beside it.
"""

from pathlib import Path

from finkray.errors import SchemaError, SchemaUnavailable
from finkray.packets.schema_parts import as_one_text


class SchemaFolder:
    """A folder of schemas, which is listed again for each `find`.

    Parameters
    ----------
    folder
        its path
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __str__(self) -> str:
        return f"the folder {self._folder}"

    def find(self, schema_id: int) -> str | None:
        """Return the schema of that id as one text, or None if the folder has none.

        Raises
        ------
        SchemaError
            if it cannot be read or is not valid, a named type is missing, or several files
            are the schema of that id
        SchemaUnavailable
            if there is no such folder
        """
        if not self._folder.is_dir():
            raise SchemaUnavailable(f"there is no folder {self._folder}")
        major, minor = divmod(schema_id, 100)
        of_lsst = (self._folder / str(major) / str(minor)).glob("*.alert.avsc")
        candidates = [self._folder / f"{schema_id}.avsc", *sorted(of_lsst)]
        files = [path for path in candidates if path.is_file()]
        if len(files) > 1:
            raise SchemaError(f"several files are schema {schema_id}: {', '.join(map(str, files))}")
        return read_schema_file(files[0]) if files else None


def read_schema_file(path: Path) -> str:
    """Return the schema in a file as one text, with the named types from files beside it.

    Raises
    ------
    SchemaError
        if it cannot be read or is not valid, or a named type is missing
    """

    def named_type(name: str) -> str | None:
        beside = path.parent / f"{name}.avsc"
        return beside.read_text(encoding="utf-8") if beside.is_file() else None

    try:
        return as_one_text(path.read_text(encoding="utf-8"), named_type)
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(f"{path} cannot be read: {error}") from error
    except SchemaError as error:
        raise SchemaError(f"{path}: {error}") from error
