"""`python -m bench.object_index`: measure the cost of the object index, and of look-ups with it.

1. Archive made alerts of ZTF, with no more columns than the index reads, in files of 500 rows.
2. Index them in a process of its own, twice: all at once, and file by file, as the daemon does in a
   slow stream.
3. Look up objects and circles, read light curves and cones.
4. Compare the points of random objects with those in all files.
"""

import argparse
import json
import logging
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.options import add_common, begin, working_folder
from finkray.claim import Claim, TopicPartition
from finkray.index.follower import STEP_FILES, IndexFollower
from finkray.index.manifest import INDEX_FOLDER
from finkray.index.objects import ObjectIndex
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit
from finkray.packets.batch import AlertBatch
from finkray.packets.dead_letters import DEAD_LETTER_SCHEMA
from finkray.packets.write_claim import write_claim
from finkray.reader import Archive
from finkray.storage.opening import StorageLocation, open_storage

FILE_ROWS: Final = 500
"""Alerts of a claim of 32 MiB of ZTF."""

CLAIMS: Final = 40
"""Claims in an entry of the ledger."""

ALERTS_PER_OBJECT: Final = 6
SOUGHT: Final = 500
CURVES: Final = 100
WITHOUT_INDEX: Final = 3
COMPARED: Final = 1_000
"""Objects whose light curves are compared with a look into all files."""

_FIRST: Final = datetime(2026, 11, 25, 2, tzinfo=UTC)
_SOURCE: Final = TopicPartition("bench", "ztf_20261124_programid1", "bench-topic", 0)
_FINGERPRINT: Final = "ab" * 32
_LOG = logging.getLogger("bench.object_index")


def make_archive(folder: Path, alerts: int) -> None:
    """Archive alerts of objects that are spread over the sky."""
    storage = open_storage(StorageLocation(str(folder)))
    ledger = Ledger.take_over(storage)
    rng = np.random.default_rng(1)
    objects = max(1, alerts // ALERTS_PER_OBJECT)
    ra = rng.uniform(0, 360, objects)
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, objects)))
    staged = []
    for first in range(0, alerts, FILE_ROWS):
        rows = min(FILE_ROWS, alerts - first)
        chosen = rng.integers(0, objects, rows)
        table = _alerts(first, chosen, ra[chosen], dec[chosen], rng)
        batch = AlertBatch(
            claim=Claim(_SOURCE, first, first + rows - 1),
            tables=((_FINGERPRINT, table),),
            schemas={_FINGERPRINT: "{}"},
            schema_ids={},
            dead_letters=DEAD_LETTER_SCHEMA.empty_table(),
            gaps=(),
        )
        staged.append(write_claim(batch, storage, ledger.staging, str(first)))
        if len(staged) == CLAIMS or first + rows == alerts:
            commit(ledger, storage, staged)
            staged = []


def object_name(number: int) -> str:
    """Return the name of an object."""
    letters = (chr(ord("a") + number // 26**power % 26) for power in range(6, -1, -1))
    return f"ZTF26{''.join(letters)}"


def _alerts(
    first: int, objects: np.ndarray, ra: np.ndarray, dec: np.ndarray, rng: np.random.Generator
) -> pa.Table:
    rows = len(objects)
    candidate = {
        "ra": (ra + rng.normal(0, 3e-5, rows)) % 360,
        "dec": np.clip(dec + rng.normal(0, 3e-5, rows), -90, 90),
        "jd": np.full(rows, 2_461_369.7),
    }
    stamps = [_FIRST + timedelta(milliseconds=n) for n in range(rows)]
    offsets = np.arange(first, first + rows)
    return pa.table(
        {
            "kafka_topic": [_SOURCE.topic] * rows,
            "kafka_partition": pa.array([_SOURCE.partition] * rows, pa.int32()),
            "kafka_offset": offsets,
            "kafka_timestamp": pa.array(stamps, pa.timestamp("ms", "UTC")),
            "obs_night": pa.array([date(2026, 11, 24)] * rows, pa.date32()),
            "schema_fingerprint": [_FINGERPRINT] * rows,
            "objectId": [object_name(number) for number in objects.tolist()],
            "candid": offsets,
            "candidate": pa.StructArray.from_arrays(
                [pa.array(values) for values in candidate.values()], list(candidate)
            ),
        }
    )


def measure(uri: str, alerts: int) -> dict[str, Any]:
    """Index the archive and look objects up; return the costs. For a process of its own."""
    storage = open_storage(StorageLocation(uri))
    IndexFollower(storage, step_files=1, step_alerts=1).add_new()  # loads the libraries
    costs: dict[str, Any] = {"alerts": alerts}
    for name, step_files in (("by_entry", 1), ("at_once", STEP_FILES)):
        storage.delete_folder(INDEX_FOLDER)
        before_s = time.process_time()
        IndexFollower(storage, step_files=step_files).catch_up()
        costs[f"{name}_cpu_us"] = (time.process_time() - before_s) / alerts * 1e6
        status = ObjectIndex.open(storage).status()
        costs[f"{name}_bytes"] = status.size_bytes / alerts
        costs[f"{name}_runs"] = status.runs
    rng = np.random.default_rng(2)
    sought = rng.integers(0, max(1, alerts // ALERTS_PER_OBJECT), SOUGHT).tolist()
    index = ObjectIndex.open(storage)
    # From here on the pages of the index are in memory.
    costs["found"] = sum(index.rows_of([object_name(number)]).num_rows for number in sought)
    circles = list(zip(rng.uniform(0, 360, SOUGHT), rng.uniform(-80, 80, SOUGHT), strict=True))
    many = [object_name(number) for number in sought]
    archive = Archive(storage)
    archive.lightcurves(many[:1])  # opens the index, once
    costs["open_ms"] = _times_ms([lambda: ObjectIndex.open(storage).rows_of(["77"])] * 20)[0]
    looks: dict[str, list[Callable[[], object]]] = {
        "object": [partial(index.rows_of, [name]) for name in many],
        "cone_3": [partial(index.rows_in_cone, ra, dec, 3.0) for ra, dec in circles],
        "cone_60": [partial(index.rows_in_cone, ra, dec, 60.0) for ra, dec in circles],
        "all_at_once": [partial(index.rows_of, many)],
        "curve": [partial(archive.lightcurves, [name]) for name in many[:CURVES]],
        "archive_cone_3": [partial(archive.cone, ra, dec, 3.0) for ra, dec in circles[:CURVES]],
    }
    for name, calls in looks.items():
        costs[f"{name}_p50_ms"], costs[f"{name}_p95_ms"] = _times_ms(calls)
    some = rng.integers(0, max(1, alerts // ALERTS_PER_OBJECT), COMPARED).tolist()
    costs["different_points"] = _different_points(archive, [*map(object_name, some)])
    storage.delete_folder(INDEX_FOLDER)
    without = [partial(archive.lightcurves, [name]) for name in many[:WITHOUT_INDEX]]
    costs["curve_without_index_p50_ms"], _ = _times_ms(without)
    return costs


def _different_points(archive: Archive, names: list[str]) -> int:
    """Return how many points are in light curves or in the files, and not in both."""
    curves = archive.lightcurves(names)
    found = set(zip(curves["object_id"].to_pylist(), curves["alert_id"].to_pylist(), strict=True))
    alerts = archive.dataset().to_table(
        ["objectId", "candid"], filter=pc.field("objectId").isin(names)
    )
    there = set(zip(alerts["objectId"].to_pylist(), alerts["candid"].to_pylist(), strict=True))
    return len(found ^ there) + abs(curves.num_rows - len(there))


def _times_ms(looks: Sequence[Callable[[], object]]) -> tuple[float, float]:
    times = []
    for look in looks:
        begun_s = time.perf_counter()
        look()
        times.append((time.perf_counter() - begun_s) * 1e3)
    return float(np.percentile(times, 50)), float(np.percentile(times, 95))


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the archive, index it, print what it cost."""
    options = _parser().parse_args(arguments)
    if not begin(options.data, ()):
        return 2
    with working_folder("object-index", options.folder, keep=options.keep) as folder:
        _LOG.info("Archiving %d alerts in %s", options.alerts, folder)
        make_archive(folder / "archive", options.alerts)
        _LOG.info("Indexing")
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            costs = pool.apply(measure, (str(folder / "archive"), options.alerts))
    print(
        f"{costs['alerts']} alerts: index {costs['at_once_bytes']:.1f} B an alert, CPU "
        f"{costs['at_once_cpu_us']:.1f} s a million at once, {costs['by_entry_cpu_us']:.1f} entry "
        f"by entry ({costs['by_entry_runs']} runs left); open {costs['open_ms']:.1f} ms; "
        "p50/p95 in ms: "
        + ", ".join(
            f"{name} {costs[f'{name}_p50_ms']:.2f}/{costs[f'{name}_p95_ms']:.2f}"
            for name in ("object", "cone_3", "cone_60", "curve", "archive_cone_3")
        )
        + f"; curve without index {costs['curve_without_index_p50_ms']:.0f} ms"
        + f"; {SOUGHT} objects at once {costs['all_at_once_p50_ms']:.0f} ms"
        + f"; {costs['different_points']} points of {COMPARED} objects differ from a full look"
    )
    if options.json:
        options.json.write_text(json.dumps(costs, indent=2), encoding="utf-8")
    return 1 if costs["different_points"] else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.object_index", description=__doc__)
    parser.add_argument("--alerts", type=int, default=1_000_000, metavar="N")
    add_common(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
