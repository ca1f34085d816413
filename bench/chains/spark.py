"""The common part of Fink's two pipelines: a local Spark, a Kafka source, a finite run."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.chains.chain_run import ChainRun, report
from sim.broker.jars import cache_folder

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import DataStreamWriter

PACKAGES = (
    "org.apache.spark:spark-sql-kafka-0-10_2.12:3.5.7",
    "org.apache.spark:spark-avro_2.12:3.5.7",
)

_POLL_S = 0.02


def session(cores: int) -> "SparkSession":
    """Start a Spark in this process, without its page.

    The memory is generous: a pipeline that has to collect garbage all the time is not the
    one to be compared with.
    """
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    builder = (
        SparkSession.builder.master(f"local[{cores}]")
        .appName("bench")
        .config("spark.jars.packages", ",".join(PACKAGES))
        .config("spark.jars.ivy", str(cache_folder() / "ivy-spark"))
        .config("spark.driver.memory", "6g")
        .config("spark.sql.shuffle.partitions", str(cores))
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
    )
    if settings := os.environ.get("FINKRAY_IVY_SETTINGS"):
        builder = builder.config("spark.jars.ivySettings", settings)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def alerts_of(spark: "SparkSession", chain_run: ChainRun) -> "DataFrame":
    """Read the topic from its beginning with Spark's Kafka source."""
    return (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", chain_run.bootstrap_servers)
        .option("subscribe", chain_run.topic)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", chain_run.per_trigger)
        .load()
    )


def write_all(writer: "DataStreamWriter", chain_run: ChainRun) -> None:
    """Run until everything in the topic is in Parquet files, and report each micro-batch."""
    trigger = {"processingTime": "0 seconds"} if chain_run.keeps_reading else {"availableNow": True}
    query = (
        writer.outputMode("append")
        .format("parquet")
        .option("path", str(chain_run.output))
        .option("checkpointLocation", str(Path(chain_run.folder) / "checkpoint"))
        .trigger(**trigger)
        .start()
    )
    done, last_batch = 0, -1
    active = True
    while active:
        active = query.isActive
        for progress in query.recentProgress:
            if progress["batchId"] > last_batch and progress["numInputRows"]:
                last_batch = progress["batchId"]
                done += progress["numInputRows"]
                report(done)
        if chain_run.keeps_reading and done >= chain_run.alerts:
            query.stop()
        time.sleep(_POLL_S)
    if error := query.exception():
        raise RuntimeError(f"the pipeline failed: {error}")


if __name__ == "__main__":
    # Fetches the packages once, so that no measurement does.
    session(cores=1).stop()
