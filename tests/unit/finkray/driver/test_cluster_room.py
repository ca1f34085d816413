"""Which clusters an archive refuses, because a part of it would wait there for ever."""

from typing import Any

import pytest

from finkray.driver.cluster_room import refuse_too_small
from finkray.errors import ClusterUnavailable
from finkray.settings.ingest import IngestSettings
from finkray.settings.spark import SparkSettings

GIB = 2**30
LAPTOP = {"CPU": 2.0, "memory": 4.0 * GIB, "object_store_memory": 1.0 * GIB}
STORE_NODE = {"CPU": 1.0, "memory": 8.0 * GIB, "object_store_memory": 1.0 * GIB, "disk": 1.0}


def refusal(*nodes: dict[str, float], ingest: Any = None, spark: Any = None) -> str:
    with pytest.raises(ClusterUnavailable) as refused:
        refuse_too_small(nodes, IngestSettings(**(ingest or {})), SparkSettings(**(spark or {})))
    return str(refused.value)


def test_the_defaults_fit_a_laptop() -> None:
    refuse_too_small([LAPTOP], IngestSettings(), SparkSettings())


@pytest.mark.parametrize(
    ("section", "values", "told"),
    [
        (
            "spark",
            {"executor_memory": "100g"},
            "room for one Spark executor: spark.executor_memory is 100 GiB of memory, a node has 4",
        ),
        ("spark", {"executor_cpus": 3}, "spark.executor_cpus is 3 of CPU, a node has 2"),
        ("spark", {"resources": {"disk": 1}}, "spark.resources is 1 of disk, a node has 0"),
        ("ingest", {"resources": {"net": 1}}, "one ingest actor: ingest.resources is 1 of net"),
        ("ingest", {"cpus_per_actor": 2.5}, "ingest.cpus_per_actor is 2.5 of CPU, a node has 2"),
        (
            "ingest",
            {"actors": 7},
            "Ray has 2 CPUs, and 7 ingest actors with one Spark executor reserve 2.25: lower",
        ),
        (
            "ingest",
            {"held_bytes": "2 GiB"},
            "ingest.held_bytes is 2.00 GiB but Ray's object store has only 1.00 GiB",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_its_setting(
    section: str, values: dict[str, Any], told: str
) -> None:
    assert told in refusal(LAPTOP, **{section: values})


def test_a_process_must_fit_one_node_and_all_of_them_the_cluster() -> None:
    spark = {"executor_cpus": 2, "executor_memory": "6g"}
    assert "no node has all of that at once" in refusal(LAPTOP, STORE_NODE, spark=spark)
    wide = SparkSettings(executor_cpus=1, executor_memory="6g", resources={"disk": 1})
    refuse_too_small([LAPTOP, STORE_NODE], IngestSettings(actors=8, held_bytes="2 GiB"), wide)


def test_a_property_of_spark_that_says_what_an_executor_reserves_is_left_to_its_user() -> None:
    name = "spark.ray.raydp_spark_executor.actor.resource.cpu"
    spark = SparkSettings(executor_cpus=3, conf={name: "1"})
    refuse_too_small([LAPTOP], IngestSettings(), spark)
