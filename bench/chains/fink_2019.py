"""Fink's archive of 2019, rebuilt from its description: Spark alone does it all.

Kafka source -> `from_avro` -> Spark's Parquet sink, partitioned by the hour. `from_avro`
takes bare records, as Fink's simulator sent them; it cannot read ZTF's containers.
"""

from pathlib import Path

from bench.chains.chain_run import FRAME_BYTES, ChainRun
from bench.chains.spark import alerts_of, session, write_all


def run(chain_run: ChainRun) -> None:
    """Archive the topic."""
    from pyspark.sql import functions as sql
    from pyspark.sql.avro.functions import from_avro

    spark = session(chain_run.cores)  # before any expression, which needs it
    schema = Path(chain_run.schema_file).read_text(encoding="utf-8")
    skip = FRAME_BYTES if chain_run.wire == "frame" else 0
    record = sql.expr(f"substring(value, {skip + 1})")
    hours = {"year": "yyyy", "month": "MM", "day": "dd", "hour": "HH"}
    decoded = (
        alerts_of(spark, chain_run)
        .select("topic", "timestamp", from_avro(record, schema).alias("decoded"))
        .withColumns({name: sql.date_format("timestamp", form) for name, form in hours.items()})
    )
    write_all(decoded.writeStream.partitionBy("topic", *hours), chain_run)


if __name__ == "__main__":
    run(ChainRun.from_command_line())
