"""Run Fink's production archive, rebuilt from its description: a Python function decodes.

Kafka source -> user-defined function with fastavro -> Spark's Parquet sink. The function parses the
schema of each container of ZTF, and decodes the frames of LSST with a schema that it is given.
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
    decoder = _container if chain_run.wire == "container" else _framed(schema)
    decode = sql.udf(decoder, empty.schema["a"].dataType)
    decoded = alerts_of(spark, chain_run).select(decode("value").alias("a")).select("a.*")
    write_all(decoded.writeStream, chain_run)


def _container(packet: bytes) -> Any:
    return next(fastavro.reader(io.BytesIO(packet)))


def _framed(text: str) -> Callable[[bytes], Any]:
    """Return a decoder of LSST's frames, which parses the schema once a task, not once a packet."""
    parsed: list[Any] = []

    def decode(packet: bytes) -> Any:
        if not parsed:
            parsed.append(fastavro.parse_schema(json.loads(text)))
        return fastavro.schemaless_reader(io.BytesIO(packet[FRAME_BYTES:]), parsed[0])

    return decode


if __name__ == "__main__":
    run(ChainRun.from_command_line())
