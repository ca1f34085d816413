"""Fetch sets of jars, as those of Apache Kafka, once; check them and keep them in a cache.

Ivy, which is among pyspark's own jars, fetches them from its default repository, or from those of
the settings file that `FINKRAY_IVY_SETTINGS` names (a mirror, for example).
"""

import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from finkray.errors import FinkrayError, KafkaUnavailable
from finkray.host.home import expanded
from finkray.host.java import Java
from finkray.host.lock import exclusive
from sim.broker.trust import java_trust_options

_LOG = logging.getLogger(__name__)
_HERE = Path(__file__).parent
_CHECKSUMS = _HERE / "jars.sha256"
_FETCH_TIMEOUT_S = 900
"""The download of 43 MB took 45 s on a fast connection; a slow one gets a quarter of an hour."""
_PROGRESS_S = 5.0


@dataclass(frozen=True, slots=True)
class JarSet:
    """Jars that one server needs.

    Attributes
    ----------
    name
        How the folder's name begins.
    owner
        Whose jars they are, for messages.
    dependencies
        What Ivy resolves.
    checksums
        What must come of it: lines as `sha256sum` writes them.
    megabytes
        What is to be downloaded.
    unavailable
        What is raised if the jars cannot be fetched.
    """

    name: str
    owner: str
    dependencies: Path
    checksums: Path
    megabytes: int
    unavailable: type[FinkrayError]


_KAFKA = JarSet("kafka", "Kafka", _HERE / "jars.xml", _CHECKSUMS, 43, KafkaUnavailable)


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for downloads: `FINKRAY_CACHE`, or `finkray` in the user's cache folder."""
    if folder := environment.get("FINKRAY_CACHE"):
        return expanded(folder).absolute()
    base = environment.get("XDG_CACHE_HOME")
    return expanded(base or "~/.cache") / "finkray"


def kafka_jars(java: Java, cache: Path | None = None) -> Path:
    """Return the folder with Kafka's jars; see `checked_jars`.

    Raises
    ------
    KafkaUnavailable
        The jars are not in the cache and could not be fetched.
    FinkrayError
        The fetched jars do not have the committed checksums.
    """
    return checked_jars(_KAFKA, java, cache)


def checked_jars(jars: JarSet, java: Java, cache: Path | None = None) -> Path:
    """Return the folder with a set of jars, complete and checked; fetch them if it is missing.

    Safe to call from several processes at once: the first fetches, the others wait. The folder gets
    its name only when it is complete, so that no interrupted download has that name.

    Parameters
    ----------
    jars
        The set.
    java
        The Java that runs Ivy.
    cache
        The folder that holds the jars' folder; default: `cache_folder()`.

    Raises
    ------
    FinkrayError
        The jars are not in the cache and could not be fetched (`jars.unavailable`), or the fetched
        ones do not have the committed checksums.
    """
    expected = _read_checksums(jars.checksums.read_text())
    # Another set of jars gets another folder: a cache serves several versions of finkray.
    name = f"{jars.name}-" + hashlib.sha256(jars.checksums.read_bytes()).hexdigest()[:12]
    cache = cache or cache_folder()
    folder = cache / name
    with exclusive(cache / f"{name}.lock"):
        if folder.is_dir():
            faults = differences(folder, expected)
            if not faults:
                return folder
            _LOG.warning(
                "fetching the jars of %s again, because the cache is damaged: %s",
                jars.owner,
                "; ".join(faults),
            )
            shutil.rmtree(folder)
        with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=cache) as scratch:
            fetched = Path(scratch) / "jars"
            _fetch(jars, java, fetched, Path(scratch))
            faults = differences(fetched, expected)
            if faults:
                raise FinkrayError(
                    f"{jars.owner}'s jars are not those of {jars.checksums.name}: "
                    f"{'; '.join(faults)}. "
                    "Nothing was kept; try again, and check FINKRAY_IVY_SETTINGS if it fails again."
                )
            fetched.rename(folder)
    return folder


def differences(folder: Path, expected: Mapping[str, str]) -> list[str]:
    """Return how the files in `folder` differ from `expected` (name to sha256, hex)."""
    found = {path.name: path for path in folder.glob("*")}
    faults = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    faults += [f"{name} is unknown" for name in sorted(found.keys() - expected.keys())]
    for name in sorted(expected.keys() & found.keys()):
        with found[name].open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected[name]:
                faults.append(f"{name} has another checksum")
    return faults


def _read_checksums(text: str) -> dict[str, str]:
    """Return the checksum of each file, from lines as `sha256sum` writes them."""
    pairs = (line.split(maxsplit=1) for line in text.splitlines() if line.strip())
    return {name: checksum for checksum, name in pairs}


def _fetch(jars: JarSet, java: Java, folder: Path, scratch: Path) -> None:
    command = [str(java.executable), *java_trust_options(scratch / "trusted.p12")]
    command += ["-jar", str(_ivy_jar()), "-warn"]
    if settings := os.environ.get("FINKRAY_IVY_SETTINGS"):
        command += ["-settings", settings]
    command += ["-cache", str(scratch / "ivy"), "-ivy", str(jars.dependencies)]
    command += ["-confs", "default"]
    command += ["-retrieve", f"{folder}/[artifact]-[revision](-[classifier]).[ext]"]
    _LOG.info("fetching the jars of %s (%d MB)", jars.owner, jars.megabytes)
    output = scratch / "ivy.log"
    with output.open("wb") as said, subprocess.Popen(command, stdout=said, stderr=said) as ivy:
        try:
            fetched = _wait(ivy, jars, scratch / "ivy")
        finally:
            ivy.kill()
    if not fetched:
        raise jars.unavailable(
            f"{jars.owner}'s jars could not be fetched within {_FETCH_TIMEOUT_S} s."
        )
    if ivy.returncode:
        tail = "\n".join(output.read_text(errors="replace").splitlines()[-20:])
        raise jars.unavailable(
            f"{jars.owner}'s jars could not be fetched; the first start needs a network, or a "
            f"mirror in FINKRAY_IVY_SETTINGS. Output of Ivy:\n{tail}"
        )


def _wait(ivy: subprocess.Popen[bytes], jars: JarSet, downloads: Path) -> bool:
    """Wait for Ivy, and say now and then how much it has; return whether it ended in time."""
    ends_s = time.monotonic() + _FETCH_TIMEOUT_S
    while time.monotonic() < ends_s:
        with suppress(subprocess.TimeoutExpired):
            ivy.wait(_PROGRESS_S)
            return True
        done_mb = _size_bytes(downloads) // 10**6
        _LOG.info("fetched %d of %d MB of the jars of %s", done_mb, jars.megabytes, jars.owner)
    return False


def _size_bytes(folder: Path) -> int:
    """Return the size of the files below a folder, some of which may just go."""
    sizes = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            sizes += path.stat().st_size if path.is_file() else 0
    return sizes


def _ivy_jar() -> Path:
    # `find_spec` does not import pyspark, which would cost half a second.
    spec = importlib.util.find_spec("pyspark")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for jar in sorted(Path(folder).glob("jars/ivy-*.jar")):
            return jar
    raise FinkrayError("pyspark, whose Ivy fetches jars, is not installed.")
