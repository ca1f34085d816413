"""The bare loop: plain processes that poll, decode and write, without any safety.

No claims, no ledger, no bound on memory, no fsync, no dead letters; a crash loses and doubles
alerts. It is what the machine can do with the same libraries: the practical limit.
"""

import io
import json
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, TypeVar

import fastavro
import polars_avro
import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import Consumer, KafkaException, TopicPartition

from bench.chains.chain_run import FRAME_BYTES, ChainRun, report
from finkray.avro.container import (
    SYNC_BYTES,
    Body,
    Header,
    encode_long,
    find_body,
    read_header,
)
from finkray.avro.reader import RecordReader
from finkray.avro.schema import WriterSchema

ROWS_PER_FILE = 1000
ROWS_PER_LSST_FILE = 100
RECORDS_PER_BLOCK = 250
SYNC = bytes(SYNC_BYTES)

SILENCE_S = 60.0
"""A file takes a second or two: after this long a worker has died."""

_Found = TypeVar("_Found")


def run(chain_run: ChainRun) -> None:
    """Share the partitions among `chain_run.cores` processes and wait for them all."""
    chain_run.output.mkdir(parents=True)
    spawn = multiprocessing.get_context("spawn")
    written: Queue[int] = spawn.Queue()
    workers = [
        spawn.Process(
            target=_work,
            args=(chain_run, range(worker, chain_run.partitions, chain_run.cores), written),
        )
        for worker in range(chain_run.cores)
    ]
    for worker in workers:
        worker.start()
    done = 0
    while done < chain_run.alerts:
        done += written.get(timeout=SILENCE_S)
        report(done)
    for worker in workers:
        worker.join()


def _work(chain_run: ChainRun, partitions: range, written: "Queue[int]") -> None:
    decode = _lsst_decoder(chain_run) if chain_run.wire == "frame" else _ztf_decoder(chain_run)
    options: dict[str, Any] | None = None
    rows = ROWS_PER_LSST_FILE if chain_run.wire == "frame" else ROWS_PER_FILE
    for number, packets in enumerate(_chunks(chain_run, partitions, rows)):
        table = decode(packets)
        options = options or _parquet_options(table)
        pq.write_table(
            table, chain_run.output / f"{partitions.start}-{number:05d}.parquet", **options
        )
        written.put(len(packets))


def _ztf_decoder(chain_run: ChainRun) -> Callable[[list[bytes]], pa.Table]:
    own = _own_header(chain_run) if chain_run.wire == "bare" else None

    def decode(packets: list[bytes]) -> pa.Table:
        header = own or _expect_type(read_header(packets[0]), Header)
        bodies = packets if own else [_body(packet, header) for packet in packets]
        return polars_avro.read_avro(io.BytesIO(_join(bodies, header))).to_arrow()

    return decode


def _lsst_decoder(chain_run: ChainRun) -> Callable[[list[bytes]], pa.Table]:
    """Decode by the archive's own reader: polars_avro refuses a schema that repeats a type name."""
    text = Path(chain_run.schema_file).read_text(encoding="utf-8")
    reader = RecordReader(WriterSchema.from_text(text))

    def decode(packets: list[bytes]) -> pa.Table:
        records = [memoryview(packet)[FRAME_BYTES:] for packet in packets]
        return pa.Table.from_batches([reader.read(records)])

    return decode


def _chunks(chain_run: ChainRun, partitions: range, rows: int) -> Iterator[list[bytes]]:
    """Yield the messages of one file each; fewer than `rows` at the end, and in a pause."""
    consumer = Consumer(
        {
            "bootstrap.servers": chain_run.bootstrap_servers,
            "group.id": "bench-bare-loop",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.message.max.bytes": 8_000_000,
            "queued.max.messages.kbytes": 200_000,
        }
    )
    consumer.assign([TopicPartition(chain_run.topic, partition, 0) for partition in partitions])
    ended, left = 0, chain_run.alerts * len(partitions) // chain_run.partitions
    chunk: list[bytes] = []
    while left if chain_run.keeps_reading else ended < len(partitions):
        came = consumer.consume(500, timeout=0.05)
        for message in came:
            error = message.error()
            if error is None:
                chunk.append(message.value())
                left -= 1
            elif error.code() == error._PARTITION_EOF:  # noqa: SLF001 - its public name
                ended += 1
            else:
                raise KafkaException(error)
            if len(chunk) == rows:
                yield chunk
                chunk = []
        if chain_run.keeps_reading and chunk and not came:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
    consumer.close()


def _own_header(chain_run: ChainRun) -> Header:
    """Return a container header with the schema, for records that come without one."""
    file = io.BytesIO()
    fastavro.writer(file, json.loads(Path(chain_run.schema_file).read_text(encoding="utf-8")), [])
    return _expect_type(read_header(file.getvalue()), Header)


def _join(bodies: list[bytes], header: Header) -> bytes:
    """Return one container with all records."""
    parts = [header.raw, SYNC]
    for first in range(0, len(bodies), RECORDS_PER_BLOCK):
        block = bodies[first : first + RECORDS_PER_BLOCK]
        size = sum(len(body) for body in block)
        parts += [encode_long(len(block)), encode_long(size), *block, SYNC]
    return b"".join(parts)


def _body(packet: bytes, header: Header) -> bytes:
    if not packet.startswith(header.raw):
        raise ValueError("a packet of another schema: the bare loop takes one schema only")
    body = _expect_type(find_body(packet, len(header.raw)), Body)
    return packet[body.start : body.end]


def _expect_type(found: object, expected: type[_Found]) -> _Found:
    if not isinstance(found, expected):
        raise TypeError(f"the bare loop has no dead letters: {found}")
    return found


def _parquet_options(table: pa.Table) -> dict[str, Any]:
    """Return options that write cutouts as they are, compressed by ZTF, and the rest with zstd."""
    sink = pa.BufferOutputStream()
    pq.write_table(table.slice(0, 0), sink)
    schema = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    leaves = [schema.column(index).path for index in range(len(schema))]
    plain = [leaf for leaf in leaves if not leaf.endswith("stampData") and "cutout" not in leaf]
    return {
        "compression": {leaf: "ZSTD" if leaf in plain else "NONE" for leaf in leaves},
        "use_dictionary": plain,
        "write_statistics": plain,
    }


if __name__ == "__main__":
    run(ChainRun.from_command_line())
