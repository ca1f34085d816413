"""The properties of the Spark session."""

from finkray.host.java import find_java
from finkray.query.spark import spark_properties
from finkray.settings.spark import SparkSettings


def test_a_secret_of_the_user_reaches_only_spark() -> None:
    settings = SparkSettings(conf={"spark.hadoop.fs.s3a.secret.key": "hunter2"})
    assert "hunter2" not in repr(settings)
    properties = spark_properties(settings, find_java())
    assert properties["spark.hadoop.fs.s3a.secret.key"] == "hunter2"
