"""`python -m bench.classify`: measure `classify`, from the files of an archive to durable results.

A catalogue of made-up sources with types is built as any other. Alerts with the columns of ZTF are
archived, half of them near a source, 47 square degrees at a time. Then `classify` runs over the
archive as `finkray run classify` does, with worker processes of this machine, and its classes are
counted as `finkray start aggregation` does. The run fails if an alert has no result, or if the
counts are not those of the results.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import finkray
import finkray.testing
from bench.crossmatch import RADIUS_ARCSEC, Sky, batches, uniform
from bench.options import working_folder
from catalogs.build import build
from catalogs.description import Description
from catalogs.store import CatalogStore
from finkray.claim import Claim, TopicPartition
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit
from finkray.packets.batch import AlertBatch
from finkray.packets.dead_letters import DEAD_LETTER_SCHEMA
from finkray.packets.write_claim import write_claim
from finkray.results.backlog import AlertSelection
from finkray.results.counts import ClassCounter
from finkray.results.store import find_store
from finkray.services.messages import Spec
from finkray.serving.run import Run, run_over
from finkray.settings.catalogs import CatalogSettings
from finkray.settings.model import Settings
from finkray.storage.contract import Storage
from finkray.storage.opening import StorageLocation, open_storage

CLAIM_ROWS = 1000
TYPES = ("RR*", "EB*", "QSO", "G", "*")


@dataclass(frozen=True)
class Measured:
    """The figures of one run.

    Attributes
    ----------
    alerts, sources, workers
        numbers of results, of sources in the catalogue, and of worker processes
    run_s
        from the start of the workers until all results are durable
    alerts_per_s
        alerts per second of that time
    alerts_per_core_s
        alerts per second of CPU that `process` took, without the reading of files
    batch_p99_s
        99th percentile of the time of a batch, in the last minute
    count_s
        time that the counting of the classes took
    classes
        number of alerts of each class
    """

    alerts: int
    sources: int
    workers: int
    run_s: float
    alerts_per_s: float
    alerts_per_core_s: float
    batch_p99_s: float
    count_s: float
    classes: dict[str, int]


def make_catalog(folder: Path, count: int, rng: np.random.Generator) -> Sky:
    """Build a catalogue of this many sources; return their positions."""
    ra, dec = uniform(rng, count)
    types = pa.array(TYPES).take(pa.array(rng.integers(0, len(TYPES), count)))
    source = folder / "made.parquet"
    pq.write_table(pa.table({"ra": ra, "dec": dec, "otype": types}), source)
    description = Description.model_validate(
        {
            "catalog": {
                "name": "made",
                "version": "1",
                "radius_arcsec": RADIUS_ARCSEC,
                "columns": ["otype"],
            },
            "source": {"path": str(source)},
            "position": {"ra": "ra", "dec": "dec"},
            "types": {"column": "otype", "words": "simbad"},
        }
    )
    store = CatalogStore(folder / "sky")
    store.add(description)
    build(store, description)
    return ra, dec


def make_archive(storage: Storage, sources: Sky, count: int, rng: np.random.Generator) -> None:
    """Archive alerts with the columns of ZTF, half of them near these sources."""
    ledger = Ledger.take_over(storage)
    sample = finkray.testing.alerts()
    fingerprint = str(sample["schema_fingerprint"][0].as_py())
    source = TopicPartition("cluster", str(sample["kafka_topic"][0].as_py()), "id-of-topic", 0)
    rows = pa.array(np.arange(CLAIM_ROWS) % len(sample))
    tiled = sample.take(rows).combine_chunks()
    claims = batches("exposures", sources, count // CLAIM_ROWS, CLAIM_ROWS, rng)
    for number, (ra, dec) in enumerate(claims):
        first = number * CLAIM_ROWS
        table = _placed(tiled, ra, dec, first)
        batch = AlertBatch(
            claim=Claim(source, first, first + CLAIM_ROWS - 1),
            tables=((fingerprint, table),),
            schemas={fingerprint: "{}"},
            schema_ids={},
            dead_letters=DEAD_LETTER_SCHEMA.empty_table(),
            gaps=(),
        )
        commit(ledger, storage, [write_claim(batch, storage, ledger.staging, str(number))])


def _placed(table: pa.Table, ra: np.ndarray, dec: np.ndarray, first: int) -> pa.Table:
    """Return the alerts at other positions, with offsets and ids of their own."""
    candidate = table["candidate"].chunk(0)
    fields = dict(zip(candidate.type.names, candidate.flatten(), strict=True))
    fields |= {"ra": pa.array(ra), "dec": pa.array(dec)}
    moved = pa.StructArray.from_arrays(
        [fields[field.name].cast(field.type) for field in candidate.type],
        fields=list(candidate.type),
    )
    numbers = pa.array(np.arange(first, first + len(table)), pa.int64())
    for name, values in (("candidate", moved), ("kafka_offset", numbers), ("candid", numbers)):
        table = table.set_column(table.schema.get_field_index(name), name, values)
    return table


def measure(options: argparse.Namespace, folder: Path) -> Measured:
    """Make the sky and the archive, classify, count."""
    rng = np.random.default_rng(options.seed)
    sources = make_catalog(folder, options.sources, rng)
    storage = open_storage(StorageLocation(str(folder / "archive")))
    make_archive(storage, sources, options.alerts, rng)
    settings = Settings(catalogs=CatalogSettings(folder=str(folder / "sky")))
    run = Run(storage, Spec("actors.classify:Classify"), settings)
    began = time.perf_counter()
    snapshot = run_over(
        run,
        AlertSelection(from_seq=0),
        options.workers,
        on_snapshot=lambda _: None,
        stopping=threading.Event(),
    )
    run_s = time.perf_counter() - began
    counter = ClassCounter(find_store(storage, "classify"))
    began = time.perf_counter()
    counter.catch_up(sys.maxsize)
    counter.keep()
    count_s = time.perf_counter() - began
    classes: dict[str, int] = {}
    for night in counter.counts().nights:
        for name, alerts in night.classes.items():
            classes[name] = classes.get(name, 0) + alerts
    return Measured(
        alerts=snapshot.results,
        sources=options.sources,
        workers=options.workers,
        run_s=run_s,
        alerts_per_s=snapshot.results / run_s,
        alerts_per_core_s=snapshot.alerts_per_s_a_core,
        batch_p99_s=snapshot.batch_p99_s,
        count_s=count_s,
        classes=classes,
    )


def faults(measured: Measured, wanted: int) -> list[str]:
    """List what is wrong: alerts without a result, counts that differ from the results."""
    found = []
    if measured.alerts != wanted:
        found.append(f"{measured.alerts:,} results for {wanted:,} alerts")
    if sum(measured.classes.values()) != measured.alerts:
        found.append(f"{sum(measured.classes.values()):,} counted of {measured.alerts:,} results")
    if not set(TYPES) & set(measured.classes):
        found.append("no alert was found in the catalogue")
    return found


def render(measured: Measured) -> str:
    """Return the figures as text."""
    classes = ", ".join(f"{name} {count:,}" for name, count in measured.classes.items())
    run = (
        f"{measured.alerts:,} alerts, {measured.sources:,} sources, "
        f"{measured.workers} workers: {measured.run_s:.1f} s, start included"
    )
    rates = (
        f"{measured.alerts_per_s:,.0f} alerts/s to durable results; "
        f"{measured.alerts_per_core_s:,.0f} for each second of CPU in process; "
        f"a batch p99 {measured.batch_p99_s * 1000:.0f} ms"
    )
    return "\n".join((run, rates, f"counted in {measured.count_s:.2f} s: {classes}"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code is 1 if a result or a count is missing."""
    options = _parser().parse_args(arguments)
    with working_folder("classify", options.folder) as folder:
        measured = measure(options, folder)
    print(render(measured))
    if options.json:
        report = {"cores": os.cpu_count(), **asdict(measured)}
        options.json.write_text(json.dumps(report, indent=2), encoding="utf-8")
    found = faults(measured, options.alerts // CLAIM_ROWS * CLAIM_ROWS)
    for fault in found:
        sys.stderr.write(f"{fault}\n")
    return 1 if found else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.classify", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--sources", type=int, default=1_000_000, metavar="N")
    add(
        "--alerts",
        type=int,
        default=100_000,
        metavar="N",
        help="rounded down to thousands (%(default)s)",
    )
    add("--workers", type=int, default=1, help="processes (%(default)s)")
    add("--seed", type=int, default=1)
    add(
        "--folder",
        type=Path,
        help="folder of the catalogue and the archive; default: a temporary one",
    )
    add("--json", type=Path, metavar="FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
