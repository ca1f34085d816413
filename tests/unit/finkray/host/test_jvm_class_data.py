"""The classes in a class-data-sharing file, and the options with which a JVM uses it."""

import sys
from pathlib import Path

import pytest

from finkray.host.java import find_java
from finkray.host.jvm_class_data import class_data_file, listed_classes, sharing_options
from finkray.query.spark import JAVA_OPTION_KEYS, spark_properties
from finkray.settings.spark import SparkSettings


def test_only_complete_class_names_are_read_from_a_list(tmp_path: Path) -> None:
    """Classes of another loader, lambdas and lines of two threads are skipped."""
    first, second = tmp_path / "1.classes", tmp_path / "2.classes"
    first.write_text("# NOTE: Do not modify\njava/lang/Object id: 0\norg/apache/Spark$Inner\n")
    second.write_text(
        "@lambda-proxy io/ray/Id apply ()V\norg/ap@lambda-proxy io/ray/Id\n"
        "own/Loaded id: 3 super: 0 source: /x.jar\norg/apache/Spark$Inner\n\n"
    )
    assert listed_classes([first, second]) == {"java/lang/Object", "org/apache/Spark$Inner"}


def test_a_jvm_gets_the_options_for_a_file_that_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    java = find_java()
    assert sharing_options(java) == []
    file = class_data_file(java)
    file.parent.mkdir(parents=True)
    file.touch()
    settings = SparkSettings(conf={JAVA_OPTION_KEYS[0]: "-Dtheir=own"})
    properties = spark_properties(settings, java)
    assert all(f"-XX:SharedArchiveFile={file}" in properties[key] for key in JAVA_OPTION_KEYS)
    assert properties[JAVA_OPTION_KEYS[0]].endswith(" -Dtheir=own")
