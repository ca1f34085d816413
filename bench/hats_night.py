"""`python -m bench.hats_night`: measure the build of a night's HATS collection, and reads of it.

The archive has copies of a few hundred real ZTF packets of 2018, without images. Each copy lies in
a patch of sky of its own and has objects of its own. Its numbers have other last digits, so that
they compress as those of different packets do. The build runs in a process of its own.
"""

import argparse
import json
import logging
import multiprocessing
import resource
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from bench.options import add_common, begin, working_folder
from catalogs.nights.build import build_night, requests
from catalogs.nights.index import NightIndex
from catalogs.nights.steps import Steps
from finkray.claim import Claim, TopicPartition
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit
from finkray.packets.batch import AlertBatch
from finkray.packets.columns import add_columns
from finkray.packets.dead_letters import DEAD_LETTER_SCHEMA
from finkray.packets.decode import Decoder
from finkray.packets.message import RawMessage
from finkray.packets.write_claim import write_claim
from finkray.reader import open_archive
from finkray.storage.contract import Storage
from finkray.storage.dataset import open_dataset
from finkray.storage.hours import Span
from finkray.storage.opening import StorageLocation, open_storage

PACKETS: Final = Path("ztf/ztf_20181129_fink-alert-simulator_498.tar.xz")
CLAIM_ROWS: Final = 996
"""Two copies of the packets: about a claim under load."""

SOURCE: Final = TopicPartition("cluster", "ztf_20181129_programid1", "bench-topic", 0)
FIRST: Final = datetime(2018, 11, 29, 2, tzinfo=UTC)
NIGHT_S: Final = 10 * 3600

READS: Final = 3
"""How often each read is measured."""

_IMAGES: Final = ("cutoutScience", "cutoutTemplate", "cutoutDifference")
_LOG = logging.getLogger("bench")


def make_archive(root: Path, data: Path, alerts: int) -> None:
    """Archive this many alerts, all of one night, spread over ten hours."""
    storage = open_storage(StorageLocation(str(root)))
    ledger = Ledger.take_over(storage)
    base = _packets(data)
    rng = np.random.default_rng(1)
    night = base["obs_night"][0]
    for first in range(0, alerts, CLAIM_ROWS):
        rows = min(CLAIM_ROWS, alerts - first)
        copies = [_copy(base, first + n, rng) for n in range(0, rows, len(base))]
        table = pa.concat_tables(copies).slice(0, rows)
        began = FIRST + timedelta(seconds=NIGHT_S * first / alerts)
        stamps = [began + timedelta(milliseconds=n) for n in range(rows)]
        offsets = np.arange(first, first + rows)
        for name, values in {
            "kafka_offset": pa.array(offsets),
            "kafka_timestamp": pa.array(stamps, pa.timestamp("ms", "UTC")),
            "obs_night": pa.repeat(night, rows),
        }.items():
            table = table.set_column(table.schema.get_field_index(name), name, values)
        fingerprint = table["schema_fingerprint"][0].as_py()
        batch = AlertBatch(
            claim=Claim(SOURCE, first, first + rows - 1),
            tables=((fingerprint, table.combine_chunks()),),
            schemas={fingerprint: "{}"},
            schema_ids={},
            dead_letters=DEAD_LETTER_SCHEMA.empty_table(),
            gaps=(),
        )
        commit(ledger, storage, [write_claim(batch, storage, ledger.staging, str(first))])


def _packets(data: Path) -> pa.Table:
    with tarfile.open(data / PACKETS) as tar:
        contents = [tar.extractfile(member) for member in tar]
        packets = [content.read() for content in contents if content is not None]
    messages = [RawMessage(n, 0, packet) for n, packet in enumerate(packets)]
    (decoded,) = Decoder().decode(messages, SOURCE).tables
    alerts = add_columns(decoded, messages, SOURCE)
    return alerts.drop_columns(list(_IMAGES)).combine_chunks()


def _copy(base: pa.Table, number: int, rng: np.random.Generator) -> pa.Table:
    """Return the packets as those of other objects elsewhere on the sky."""
    candidate = _noisy(base["candidate"].combine_chunks(), rng)
    ra, dec = (base["candidate"].combine_chunks().field(name).to_numpy() for name in ("ra", "dec"))
    to_dec = float(np.degrees(np.arcsin(rng.uniform(-0.5, 0.9))))
    moved = {
        "ra": (rng.uniform(0, 360) + (ra - ra.mean()) / np.cos(np.radians(to_dec))) % 360,
        "dec": np.clip(dec - dec.mean() + to_dec, -89.0, 89.0),
    }
    fields = list(candidate.type)
    arrays = [
        pa.array(moved[field.name]) if field.name in moved else candidate.field(field.name)
        for field in fields
    ]
    out = {
        "candidate": pa.StructArray.from_arrays(arrays, fields=fields),
        "prv_candidates": _noisy(base["prv_candidates"].combine_chunks(), rng),
        "objectId": pa.array([f"{name}{number:08x}" for name in base["objectId"].to_pylist()]),
        "candid": pa.array(base["candid"].to_numpy() + number * 1_000_000),
    }
    table = base
    for name, values in out.items():
        table = table.set_column(table.schema.get_field_index(name), name, values)
    return table


def _noisy(values: pa.Array, rng: np.random.Generator) -> pa.Array:
    """Return an array whose floating-point numbers differ in their last digits."""
    if pa.types.is_struct(values.type):
        arrays = [_noisy(values.field(n), rng) for n in range(values.type.num_fields)]
        return pa.StructArray.from_arrays(arrays, fields=list(values.type), mask=values.is_null())
    if pa.types.is_list(values.type):
        return pa.ListArray.from_arrays(
            values.offsets, _noisy(values.values, rng), type=values.type
        )
    if not pa.types.is_floating(values.type):
        return values
    numbers = values.fill_null(0.0).to_numpy(zero_copy_only=False)
    # Relative to the value, but no Julian date may leave its night.
    noise = np.where(np.abs(numbers) < 1e5, 1e-4 * np.abs(numbers), 1e-5)
    changed = numbers + noise * rng.standard_normal(len(numbers))
    return pa.array(
        changed.astype(numbers.dtype),
        values.type,
        mask=values.is_null().to_numpy(zero_copy_only=False),
    )


def measure(uri: str) -> dict[str, Any]:
    """Build the night; return what it cost. Call this in a process of its own."""
    storage = open_storage(StorageLocation(uri))
    before_s, begun_s = time.process_time(), time.perf_counter()
    index = NightIndex(storage)
    index.update(Steps())
    index_cpu_s = time.process_time() - before_s
    ((_, night),) = index.nights
    (request,) = requests(index, night)
    built = build_night(storage, request, Steps())
    return {
        "alerts": built.alerts,
        "objects": built.objects,
        "cpu_s": time.process_time() - before_s,
        "index_cpu_s": index_cpu_s,
        "wall_s": time.perf_counter() - begun_s,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        **_sizes(storage),
    }


def measure_reading(uri: str) -> dict[str, dict[str, float]]:
    """Read a built night as users do, and the same from the hourly files alone.

    Returns
    -------
    dict
        by what is read, seconds `night_s` and `hourly_s`: the median of `READS` times
    """
    storage = open_storage(StorageLocation(uri))
    magnitude = pc.field("candidate", "magpsf")
    columns = {"object": pc.field("objectId"), "magnitude": magnitude}
    by_filter = {"filter": pc.field("candidate", "fid"), "magnitude": magnitude}

    def two_columns(dataset: pads.Dataset) -> pa.Table:
        return dataset.to_table(columns)

    def grouped(dataset: pads.Dataset) -> pa.Table:
        table = dataset.to_table(by_filter)
        return table.group_by("filter").aggregate([("magnitude", "mean"), ("magnitude", "count")])

    def night() -> pads.Dataset:
        return open_archive(uri).dataset()

    def hourly() -> pads.Dataset:
        return open_dataset(storage, Span(), None)[0]

    reads = {"two columns": two_columns, "group-by": grouped}
    return {
        name: {"night_s": _median_s(night, read), "hourly_s": _median_s(hourly, read)}
        for name, read in reads.items()
    }


def measure_peer(python: str, folder: Path) -> dict[str, float]:
    """Import the hourly files with the hats-import of another Python; return what it cost."""
    program = Path(__file__).with_name("hats_import_peer.py")
    command = [python, str(program), str(folder / "archive" / "alerts"), str(folder / "peer")]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _median_s(
    opened: Callable[[], pads.Dataset], read: Callable[[pads.Dataset], pa.Table]
) -> float:
    times = []
    for _ in range(READS):
        begun_s = time.perf_counter()
        read(opened())
        times.append(time.perf_counter() - begun_s)
    return statistics.median(times)


def _sizes(storage: Storage) -> dict[str, int]:
    files = list(storage.walk("hats/nights"))
    leaves = [file for file in files if "/object_lc/dataset/Norder=" in file.path]
    return {"bytes": sum(file.size_bytes for file in files), "object_leaves": len(leaves)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the archive, build the night, print what it cost."""
    options = _parser().parse_args(arguments)
    if not begin(options.data, (PACKETS,)):
        return 2
    with working_folder("hats-night", options.folder, keep=options.keep) as folder:
        _LOG.info("Archiving %d alerts in %s", options.alerts, folder)
        make_archive(folder / "archive", options.data, options.alerts)
        _LOG.info("Building the night")
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            measured = pool.apply(measure, (str(folder / "archive"),))
            reading = pool.apply(measure_reading, (str(folder / "archive"),))
        peer = measure_peer(options.peer, folder) if options.peer else None
    alerts = measured["alerts"]
    print(
        f"{alerts} alerts of {measured['objects']} objects in {measured['object_leaves']} leaves: "
        f"CPU {measured['cpu_s'] / alerts * 1e6:.0f} us an alert "
        f"({measured['index_cpu_s'] / alerts * 1e6:.1f} us to find the night), "
        f"{measured['wall_s']:.1f} s, peak memory {measured['peak_rss_bytes'] / 1e6:.0f} MB, "
        f"{measured['bytes'] / alerts / 1e3:.2f} kB an alert on disk"
    )
    for name, took in reading.items():
        print(f"{name}: {took['night_s']:.2f} s, {took['hourly_s']:.2f} s from hourly files alone")
    if peer is not None:
        print(
            f"hats-import, flat columns alone: CPU {peer['cpu_s'] / alerts * 1e6:.0f} us an alert, "
            f"{peer['wall_s']:.1f} s, peak memory {peer['peak_rss_bytes'] / 1e6:.0f} MB"
        )
    if options.json:
        report = {**measured, "reading": reading, "hats_import": peer}
        options.json.write_text(json.dumps(report, indent=2), encoding="utf-8")
    return 0 if alerts == options.alerts else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.hats_night", description=__doc__)
    parser.add_argument("--alerts", type=int, default=100_000, metavar="N")
    parser.add_argument("--peer", metavar="PYTHON", help="a Python that has hats-import")
    add_common(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
