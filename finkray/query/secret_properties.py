"""Pass secret Spark properties to the driver's JVM by a private file.

pyspark puts each property of a session on the command line of `spark-submit`, which every user of
the machine can read. Spark reads `spark-defaults.conf` of `SPARK_CONF_DIR` as well, and the driver
sends its properties to the executors over its own connection.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from finkray.settings.section import Options

_CONF_DIR: Final = "SPARK_CONF_DIR"

_ESCAPES: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f", " ": "\\ "}
"""What Java's `Properties` would not read as itself, in a key or at the start of a value."""


def split_secrets(conf: Options) -> tuple[dict[str, str], dict[str, str]]:
    """Return the properties that may be shown, and the secret ones in clear."""
    secret = {
        key: value.get_secret_value() for key, value in conf.items() if isinstance(value, SecretStr)
    }
    return {key: str(value) for key, value in conf.items() if key not in secret}, secret


@contextmanager
def passed_by_file(secrets: Mapping[str, str], folder: Path) -> Iterator[None]:
    """Let a Spark driver that starts in this block read secret properties from a file.

    Parameters
    ----------
    secrets
        the properties; without any, nothing is changed
    folder
        gets the file; deleted by the caller. A `SPARK_CONF_DIR` of the environment is copied to it
    """
    if not secrets:
        yield
        return
    before = os.environ.get(_CONF_DIR)
    conf_dir = folder / "conf"
    conf_dir.mkdir(mode=0o700)
    if before and Path(before).is_dir():
        shutil.copytree(before, conf_dir, dirs_exist_ok=True)
        conf_dir.chmod(0o700)
    defaults = conf_dir / "spark-defaults.conf"
    inherited = defaults.read_text(encoding="utf-8") if defaults.exists() else ""
    defaults.unlink(missing_ok=True)
    with open(defaults, "x", opener=_private, encoding="utf-8") as file:
        file.write(inherited.rstrip("\n") + "\n" + properties_text(secrets))
    os.environ[_CONF_DIR] = str(conf_dir)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_CONF_DIR]
        else:
            os.environ[_CONF_DIR] = before


def properties_text(properties: Mapping[str, str]) -> str:
    """Return properties in the format of Java's `Properties`."""
    return "".join(f"{_escaped(key)}={_escaped(value)}\n" for key, value in properties.items())


def _escaped(text: str) -> str:
    def escape(character: str) -> str:
        if character in _ESCAPES:
            return _ESCAPES[character]
        if character in "=:#!":
            return f"\\{character}"
        if " " < character <= "~":
            return character
        units = character.encode("utf-16-be")
        return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))

    return "".join(map(escape, text))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
