"""Fink's archive in production, rebuilt from its description: a Python function decodes.

Kafka source -> user-defined function with fastavro -> Spark's Parquet sink. It reads the
containers as ZTF sends them, and parses the schema in each of them; LSST's frames it reads with
the schema that it knows.
"""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro

from bench.chains.chain_run import FRAME_BYTES, ChainRun
from bench.chains.spark import alerts_of, session, write_all


def run(chain_run: ChainRun) -> None:
    """Archive the topic."""
    from pyspark.sql import functions as sql
    from pyspark.sql.avro.functions import from_avro

    spark = session(chain_run.cores)
    schema = Path(chain_run.schema_file).read_text(encoding="utf-8")
    # Spark's own view of the Avro schema is the function's result type.
    empty = spark.createDataFrame([], "value binary").select(from_avro("value", schema).alias("a"))
    how = _container if chain_run.wire == "container" else _framed(schema)
    decode = sql.udf(how, empty.schema["a"].dataType)
    decoded = alerts_of(spark, chain_run).select(decode("value").alias("a")).select("a.*")
    write_all(decoded.writeStream, chain_run)


def _container(packet: bytes) -> Any:
    return next(fastavro.reader(io.BytesIO(packet)))


def _framed(text: str) -> Callable[[bytes], Any]:
    """Decode LSST's frames: the schema is parsed once a task, not once a packet."""
    parsed: list[Any] = []

    def decode(packet: bytes) -> Any:
        if not parsed:
            parsed.append(fastavro.parse_schema(json.loads(text)))
        return fastavro.schemaless_reader(io.BytesIO(packet[FRAME_BYTES:]), parsed[0])

    return decode


if __name__ == "__main__":
    run(ChainRun.from_command_line())
