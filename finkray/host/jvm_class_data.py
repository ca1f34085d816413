"""Build and use a class-data-sharing (CDS) file of the JVM, so that Spark starts faster.

Spark on Ray loads 14 000 classes into three JVMs, which is most of the cost of its start. With a
CDS file (JEP 310), which holds the classes parsed and verified, the three JVMs take 10 s of CPU
time to the first alert instead of 18 s. A JVM that finds no such file, or one of another Java or
of other jars, starts without it.
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
"""A class in a list of loaded classes; lines of lambdas and of other loaders have more."""


def class_data_file(java: Java) -> Path:
    """Return the path of the CDS file for this Java, in the environment whose jars it holds."""
    digest = hashlib.sha256(f"{java.home}\n{class_path()}".encode()).hexdigest()
    return Path(sys.prefix) / "share" / "finkray" / f"classes-{digest[:16]}.jsa"


def class_path() -> str:
    """Return the common start of the class paths of RayDP's JVMs, which a CDS file is valid for."""
    raydp, pyspark, ray = (_package(name) / "jars" for name in ("raydp", "pyspark", "ray"))
    # As RayDP writes it: jars in the order in which their folder is read, Spark's as a wildcard.
    entries = [*os.scandir(raydp), pyspark / "*", *os.scandir(ray)]
    return os.pathsep.join(os.fspath(entry) for entry in entries)


def sharing_options(java: Java) -> list[str]:
    """Return the options with which a JVM uses the CDS file; none if there is no file."""
    file = class_data_file(java)
    # Without `-Xlog` each JVM whose agent or jars do not match warns on its standard output.
    return [f"-XX:SharedArchiveFile={file}", "-Xlog:cds=error"] if file.exists() else []


def listing_option(folder: Path) -> str:
    """Return the option with which each JVM lists its classes in a file of its own."""
    return f"-XX:DumpLoadedClassList={folder}/%p.classes"


def build_class_data(java: Java, lists: Iterable[Path]) -> Path:
    """Build the CDS file of the classes in these lists; return its path.

    Raises
    ------
    FinkrayError
        if Java fails; the message has its output
    """
    file = class_data_file(java)
    file.parent.mkdir(parents=True, exist_ok=True)
    # Built beside its path, and renamed when it is complete.
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
                f"Java cannot build a class-data-sharing file: {(done.stdout + done.stderr)[-500:]}"
            )
        unfinished.rename(file)
    return file


def listed_classes(lists: Iterable[Path]) -> set[str]:
    """Return the classes in the lists of JVMs; a list may end early, if its JVM was killed."""
    lines = (line for path in lists for line in path.read_text(errors="replace").splitlines())
    names = (line.split(" ", 1)[0] for line in lines if " source: " not in line)
    return {name for name in names if _CLASS.fullmatch(name)}


def _package(name: str) -> Path:
    found = find_spec(name)
    if found is None or found.origin is None:
        raise FinkrayError(f"the package {name} is not installed")
    return Path(found.origin).parent
