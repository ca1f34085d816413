"""`finkray prepare`: Spark's JVMs find their classes in a file."""

import subprocess
import sys

import pytest

from finkray.host.java import find_java
from finkray.host.jvm_class_data import class_data_file, class_path, sharing_options

pytestmark = [pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(400)]


def test_the_classes_of_spark_are_mapped_from_the_archive() -> None:
    """`make setup` has made it, or it is made now; a second time is for nothing."""
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "jobs.cli.main", "prepare"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        java = find_java()
        assert str(class_data_file(java)) in done.stdout + done.stderr
    command = [
        *(str(java.executable), *sharing_options(java)),
        *("-Xshare:on", "-Xlog:class+load", "-cp", class_path()),
        *("org.apache.spark.deploy.SparkSubmit", "--version"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-1000:]
    # Lambdas are made anew in each JVM.
    lines = [line for line in done.stdout.splitlines() if "Lambda" not in line]
    loaded = [line for line in lines if "org.apache.spark." in line]
    shared = [line for line in loaded if "source: shared objects file" in line]
    assert len(shared) > len(loaded) / 2
