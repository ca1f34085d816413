"""The properties of the Spark session."""

import os
from pathlib import Path

import pytest

from finkray.host.java import find_java
from finkray.query.secret_properties import passed_by_file, properties_text, split_secrets
from finkray.query.spark import spark_properties
from finkray.settings.spark import SparkSettings

CONF = {"spark.hadoop.fs.s3a.secret.key": "hunter2", "spark.sql.shuffle.partitions": 3}


def test_a_secret_of_the_user_is_not_among_the_properties_that_command_lines_show() -> None:
    settings = SparkSettings(conf=CONF)
    assert "hunter2" not in repr(settings)
    properties = spark_properties(settings, find_java())
    assert "hunter2" not in repr(properties)
    assert properties["spark.sql.shuffle.partitions"] == "3"
    assert split_secrets(settings.conf)[1] == {"spark.hadoop.fs.s3a.secret.key": "hunter2"}


def test_a_secret_is_passed_in_a_file_that_only_its_owner_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "spark-defaults.conf").write_text("spark.mine true")
    monkeypatch.setenv("SPARK_CONF_DIR", str(own))
    with passed_by_file({"spark.a.secret": "hunter2"}, tmp_path):
        folder = Path(os.environ["SPARK_CONF_DIR"])
        file = folder / "spark-defaults.conf"
        assert file.read_text() == "spark.mine true\nspark.a.secret=hunter2\n"
        assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    assert os.environ["SPARK_CONF_DIR"] == str(own)


def test_without_a_secret_nothing_is_changed(tmp_path: Path) -> None:
    before = os.environ.get("SPARK_CONF_DIR")
    with passed_by_file({}, tmp_path):
        assert os.environ.get("SPARK_CONF_DIR") == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("a b", r"a\ b"),
        ("a\\b=c:d#e!f", r"a\\b\=c\:d\#e\!f"),
        ("two\nlines\t", r"two\nlines\t"),
        ("é€𝄞", r"\u00e9\u20ac\ud834\udd1e"),
    ],
)
def test_a_secret_is_written_as_java_reads_properties(secret: str, text: str) -> None:
    assert properties_text({"spark.a secret": secret}) == f"spark.a\\ secret={text}\n"
