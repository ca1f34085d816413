"""The classes of Spark's JVMs, read and checked once and kept in a file that each start maps.

Spark on Ray loads 14 000 classes into three JVMs, which is most of what its start costs: with them
in an archive (class data sharing, JEP 310) the three take 10 s of CPU time to the first alert
instead of 18. A JVM that finds no such file, or one of another Java or other jars, does without.
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from finkray.errors import FinkrayError
from finkray.host.java import Java

_CLASS = re.compile(r"[\w/$]+")
"""A class as it stands in a list of loaded ones; lambdas and classes of other loaders have more."""


def class_data_file(java: Java) -> Path:
    """Where the archive for this Java is: in the environment whose jars it was made of."""
    digest = hashlib.sha256(f"{java.home}\n{class_path()}".encode()).hexdigest()
    return Path(sys.prefix) / "share" / "finkray" / f"classes-{digest[:16]}.jsa"


def class_path() -> str:
    """What the class paths of all JVMs begin with that RayDP starts: an archive holds for that."""
    raydp, pyspark, ray = (_package(name) / "jars" for name in ("raydp", "pyspark", "ray"))
    # As RayDP writes it: jars in the order in which their folder is read, Spark's as one word.
    parts = [*os.scandir(raydp), pyspark / "*", *os.scandir(ray)]
    return os.pathsep.join(os.fspath(part) for part in parts)


def sharing_options(java: Java) -> list[str]:
    """Options that let a JVM use the archive, none if there is no archive."""
    file = class_data_file(java)
    # Without them each JVM whose agent or jars do not fit says so on its standard output.
    return [f"-XX:SharedArchiveFile={file}", "-Xlog:cds=error"] if file.exists() else []


def listing_option(folder: Path) -> str:
    """The option that makes each JVM list its classes in a file of its own in that folder."""
    return f"-XX:DumpLoadedClassList={folder}/%p.classes"


def build_class_data(java: Java, lists: Iterable[Path]) -> Path:
    """Make the archive of the classes in these lists; returns its file.

    Raises
    ------
    FinkrayError
        if Java refuses; the message has its words
    """
    file = class_data_file(java)
    file.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, where it is moved to when it is whole.
    with tempfile.TemporaryDirectory(dir=file.parent) as name:
        classes, unfinished = Path(name) / "classes", Path(name) / file.name
        classes.write_text("\n".join(sorted(listed_classes(lists))) + "\n", encoding="utf-8")
        command = [
            str(java.executable),
            "-Xshare:dump",
            f"-XX:SharedClassListFile={classes}",
            f"-XX:SharedArchiveFile={unfinished}",
            *("-cp", class_path()),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not unfinished.exists():
            raise FinkrayError(
                f"Java makes no archive of classes: {(done.stdout + done.stderr)[-500:]}"
            )
        unfinished.rename(file)
    return file


def listed_classes(lists: Iterable[Path]) -> set[str]:
    """The classes in lists of JVMs, some of which may have been killed while they wrote."""
    lines = (line for path in lists for line in path.read_text(errors="replace").splitlines())
    words = (line.split(" ", 1)[0] for line in lines if " source: " not in line)
    return {word for word in words if _CLASS.fullmatch(word)}


def _package(name: str) -> Path:
    found = find_spec(name)
    if found is None or found.origin is None:
        raise FinkrayError(f"the package {name} is not installed")
    return Path(found.origin).parent
