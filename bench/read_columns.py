"""`python -m bench.read_columns`: measure what it costs a service to read its columns from a file.

It also measures what it would cost to pick them from the same batch in mapped memory: ingest actors
hold batches so, in Ray's object store, until the claim is durable. The figures are CPU time of one
core, the least of many tries.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.options import working_folder
from finkray import adapter
from finkray.claim import TopicPartition
from finkray.packets.decode import Decoder
from finkray.packets.message import RawMessage
from finkray.services.columns import has, pick, read_columns
from finkray.storage.parquet import write_table
from sim.ztf.alerts import ZtfMaker

CASES = {
    "one column": ("candidate.magpsf",),
    "cross-match": adapter.columns("detection", "solar_system"),
    "history": ("prv_candidates",),
    "one cutout": ("cutoutScience",),
}


def made_alerts(count: int) -> pa.Table:
    """Return this many simulated alerts of ZTF, as they are archived."""
    packets: list[bytes] = []
    for visit in ZtfMaker(seed=7, schema_version="4.02", alerts_per_visit=1000).visits():
        packets += [alert.packet for alert in visit.alerts]
        if len(packets) >= count:
            break
    messages = [RawMessage(number, number, packet) for number, packet in enumerate(packets[:count])]
    (decoded,) = Decoder().decode(messages, TopicPartition("cluster", "ztf", "id", 0)).tables
    return decoded.table


def measure(alerts: pa.Table, folder: Path, tries: int) -> dict[str, dict[str, float]]:
    """Return CPU milliseconds for 1000 alerts, by case and by source."""
    parquet, mapped = folder / "alerts.parquet", folder / "alerts.arrow"
    with parquet.open("wb") as sink:
        write_table(alerts, sink)
    with pa.OSFile(str(mapped), "wb") as out, pa.ipc.new_stream(out, alerts.schema) as writer:
        writer.write_table(alerts)

    def from_parquet(columns: Sequence[str]) -> int:
        # The child process of a service does the same.
        schema = pq.read_schema(parquet)
        any(has(schema, name) for name in columns)
        return read_columns(str(parquet), columns).num_rows

    def from_memory(columns: Sequence[str]) -> int:
        with pa.memory_map(str(mapped)) as pages, pa.ipc.open_stream(pages) as reader:
            return pick(reader.read_all(), columns).num_rows

    ways: dict[str, Callable[[Sequence[str]], int]] = {
        "parquet": from_parquet,
        "memory": from_memory,
    }
    return {
        case: {
            way: _least_cpu_ms(lambda read=read, columns=columns: read(columns), tries)  # type: ignore[misc]
            * 1000
            / alerts.num_rows
            for way, read in ways.items()
        }
        for case, columns in CASES.items()
    }


def _least_cpu_ms(work: Callable[[], int], tries: int) -> float:
    took = []
    for _ in range(tries):
        begun_s = time.process_time()
        work()
        took.append(time.process_time() - begun_s)
    return min(took) * 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table."""
    options = _parser().parse_args(arguments)
    with working_folder("columns", options.folder) as folder:
        measured = measure(made_alerts(options.alerts), folder, options.tries)
    print("CPU ms for 1000 alerts   from Parquet  from memory")
    for case, ms in measured.items():
        columns = f"({len(CASES[case])} columns)"
        print(f"{case:<12} {columns:<12} {ms['parquet']:>11.1f} {ms['memory']:>12.1f}")
    if options.json:
        options.json.write_text(json.dumps(measured, indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.read_columns", description=__doc__)
    parser.add_argument("--alerts", type=int, default=1000, metavar="N")
    parser.add_argument("--tries", type=int, default=15, metavar="N")
    parser.add_argument("--folder", type=Path, help="where to write (the temporary folder)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
