"""Spark's Kafka sink with `to_avro`: Fink's streaming out, rebuilt from its description.

one pass          one query marks each alert with the topics of its filters, and explodes them
a query a filter  each filter is a query of its own, as at Fink until 2026

Both read an archive's files, and cut in functions on pandas. Unlike Fink's, the messages have the
id of the object as key and not the schema, which is less to send; unlike finkray's, no record says
where an alert came from, and a crash doubles alerts.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from bench.chains.spark import session
from bench.meter import Meter
from finkray.host.java import find_java
from finkray.kafka.topics import ensure_topic
from finkray.storage.contract import Storage
from finkray.storage.layout import ALERTS_FOLDER
from finkray.streamout.output_schema import ABOUT_FIELD, OutputSchema
from finkray.streamout.projection import Projection
from finkray.streamout.publishing import recent_schemas
from sim.broker.kafka import Kafka

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.streaming import StreamingQuery

Form = Literal["one pass", "a query a filter"]

FORMS: Final[tuple[Form, ...]] = ("one pass", "a query a filter")

FILES_A_TRIGGER: Final = 10
"""Some 5 000 alerts: what a micro-batch costs whatever is in it does not decide then."""

PARTITIONS: Final = 2
"""Partitions of a topic: the default of `streamout.partitions`."""

_LARGEST_MESSAGE_BYTES: Final = 10 * 2**20


@dataclass(frozen=True, slots=True)
class SinkRun:
    """The order for one measurement.

    Attributes
    ----------
    form
        one of `FORMS`
    bootstrap_servers
        the Kafka to write to
    alerts
        the folder of the archive's alerts
    topics, limits
        of each filter its topic, and its cut in magnitude
    schema
        of the messages, Avro as JSON
    fields
        the packet's fields that are sent
    folder
        for checkpoints
    cores
        task slots of Spark
    """

    form: Form
    bootstrap_servers: str
    alerts: str
    topics: Sequence[str]
    limits: Sequence[float]
    schema: str
    fields: Sequence[str]
    folder: str
    cores: int


def run_sink(
    form: Form,
    *,
    storage: Storage,
    kafka: Kafka,
    case: tuple[str, int],
    limits: Sequence[float],
    folder: Path,
    cores: int,
) -> dict[str, Any]:
    """Send the alerts of an archive in a process of its own; return what it cost.

    Parameters
    ----------
    form
        one of `FORMS`
    storage
        of the archive, which is a folder
    kafka
        to write to
    case
        projection, and number of filters
    limits
        the cut in magnitude of each filter
    folder
        for what Spark writes
    cores
        task slots of Spark

    Raises
    ------
    RuntimeError
        Spark failed; the message has the end of its log.
    """
    projection, filters = case
    topics = [f"spark_{projection}_{filters}_{form.split()[0]}_{n}" for n in range(filters)]
    config = {"bootstrap.servers": kafka.bootstrap_servers}
    own = {"max.message.bytes": str(_LARGEST_MESSAGE_BYTES)}
    for topic in (*topics, _warm(topics[0])):
        ensure_topic(config, topic, PARTITIONS, own)
    (packet,) = recent_schemas(storage)
    message = json.loads(OutputSchema.of(packet.text, Projection(projection), {}).text)
    fields = [field for field in message["fields"] if field["name"] != ABOUT_FIELD]
    run = SinkRun(
        form=form,
        bootstrap_servers=kafka.bootstrap_servers,
        alerts=f"{storage.uri}/{ALERTS_FOLDER}",
        topics=topics,
        limits=limits,
        schema=json.dumps({**message, "fields": fields}),
        fields=[field["name"] for field in fields],
        folder=str(folder),
        cores=cores,
    )
    done = subprocess.run(
        [sys.executable, "-m", "bench.chains.spark_sink", json.dumps(asdict(run))],
        env=find_java().environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"Spark's sink failed. The end of its log:\n{done.stderr[-3000:]}")
    cost: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    sent = sum(kafka_messages(config, topic) for topic in topics)
    about = {"by": f"Spark, {form}", "projection": projection, "filters": filters}
    return {**about, **cost, "sent": sent}


def kafka_messages(config: dict[str, Any], topic: str) -> int:
    """Return the number of messages of a topic that was written without transactions."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({**config, "group.id": "bench-count"})
    try:
        ends = [
            consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)
            for number in range(PARTITIONS)
        ]
    finally:
        consumer.close()
    return sum(high - low for low, high in ends)


def measure(run: SinkRun) -> dict[str, Any]:
    """Send everything with a warm Spark; return what it cost."""
    spark = session(run.cores)
    files = spark.read.option("recursiveFileLookup", "true").parquet(run.alerts)
    alerts, columns = files.count(), files.schema

    def source() -> "DataFrame":
        reader = spark.readStream.schema(columns).option("recursiveFileLookup", "true")
        return reader.option("maxFilesPerTrigger", FILES_A_TRIGGER).parquet(run.alerts)

    _wait_for([_one_pass(run, source(), [_warm(run.topics[0])], run.limits[:1])])
    meter = Meter(os.getpid())
    before, begun_s = meter.sample(), time.perf_counter()
    if run.form == "one pass":
        _wait_for([_one_pass(run, source(), run.topics, run.limits)])
    else:
        _wait_for(
            [
                _one_pass(run, source(), [topic], [limit])
                for topic, limit in zip(run.topics, run.limits, strict=True)
            ]
        )
    wall_s, after = time.perf_counter() - begun_s, meter.sample()
    spark.stop()
    cpu_s = after.cpu_s - before.cpu_s
    return {
        "alerts": alerts,
        "cpu_s": cpu_s,
        "wall_s": wall_s,
        "alerts_per_s_a_core": alerts / cpu_s,
        "memory_bytes": after.rss_bytes,
    }


def _one_pass(
    run: SinkRun, alerts: "DataFrame", topics: Sequence[str], limits: Sequence[float]
) -> "StreamingQuery":
    """Start a query that sends what passes some of the filters."""
    from pyspark.sql.avro.functions import to_avro
    from pyspark.sql.functions import array, col, explode, lit, struct, when

    marks = [when(_passes(limit), lit(t)) for limit, t in zip(limits, topics, strict=True)]
    passed = alerts.select(*run.fields, explode(array(*marks)).alias("topic"))
    value = to_avro(struct(*run.fields), run.schema).alias("value")
    messages = passed.filter("topic is not null").select(
        "topic", col("objectId").alias("key"), value
    )
    return (
        messages.writeStream.format("kafka")
        .option("kafka.bootstrap.servers", run.bootstrap_servers)
        .option("kafka.max.request.size", str(_LARGEST_MESSAGE_BYTES))
        .option("checkpointLocation", tempfile.mkdtemp(dir=run.folder))
        .trigger(availableNow=True)
        .start()
    )


def _passes(limit: float) -> "Column":
    import pandas as pd
    from pyspark.sql.functions import pandas_udf

    @pandas_udf("boolean")
    def passes(magpsf: pd.Series, classtar: pd.Series, ndethist: pd.Series) -> pd.Series:
        return (magpsf < limit) & (classtar > 0.3) & (ndethist < 2000)

    return passes("candidate.magpsf", "candidate.classtar", "candidate.ndethist")


def _wait_for(queries: Sequence["StreamingQuery"]) -> None:
    for query in queries:
        query.awaitTermination()


def _warm(topic: str) -> str:
    return f"{topic}_warm"


if __name__ == "__main__":
    print(json.dumps(measure(SinkRun(**json.loads(sys.argv[1])))))
