"""`python -m bench.audit_year`: quick audit, start and one hour of an archive of a year.

The archive is a placeholder: a ledger of as many claims as there are files, compacted as the
archive compacts it, and for each claim an empty file under its name. The quick audit looks at
names and sizes alone, so it does the same work as on a real one. Then an archive takes the ledger
over, and the alerts of one hour are counted, whose files are real ones.
"""

import argparse
import logging
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq

import finkray
from bench.options import working_folder
from finkray.audit.audit import audit
from finkray.claim import Claim, ClaimResult, DataFile, TopicPartition
from finkray.ledger.entry import Entry
from finkray.ledger.log import Ledger
from finkray.ledger.publish import recover
from finkray.ledger.segment import Segment
from finkray.ledger.table import SCHEMA, to_table
from finkray.storage.contract import Storage
from finkray.storage.layout import alerts_path
from finkray.storage.opening import StorageLocation, open_storage
from finkray.testing import SAMPLE

CLAIMS_PER_ENTRY = 8
"""A micro-batch of a busy night; the archive commits one of them with one entry."""

GROUP_ENTRIES = 2048
"""Entries in a row group: 16 384 rows, as the archive folds them."""

ROWS = 500
PARTITIONS = 4
FINGERPRINT = "abcdef01" * 8
FIRST_HOUR = datetime(2026, 1, 1, tzinfo=UTC)
YEAR_HOURS = 365 * 24

_LOG = logging.getLogger("bench")


def make_year(root: Path, files: int) -> None:
    """Make a placeholder archive of `files` files, spread over the hours of a year."""
    make_ledger(open_storage(StorageLocation(str(root))), files, lambda entry: _touch(root, entry))


def make_ledger(storage: Storage, files: int, make_files: Callable[[Entry], None]) -> None:
    """Make the ledger of such an archive.

    Parameters
    ----------
    storage
        of the archive
    files
        so many of them
    make_files
        is called with each entry, to make the files that it names
    """
    entries = 1 + -(-files // CLAIMS_PER_ENTRY)
    seq = 0
    for segment in _segments(entries):
        staged = f"staging/{segment.path.replace('/', '-')}"
        with (
            storage.stage(staged) as sink,
            pq.ParquetWriter(sink, SCHEMA, compression="zstd") as out,
        ):
            for first in range(segment.first_seq, segment.last_seq + 1, GROUP_ENTRIES):
                last = min(first + GROUP_ENTRIES, segment.last_seq + 1)
                group = [_entry(number, files) for number in range(first, last)]
                for entry in group:
                    make_files(entry)
                table = to_table(group)
                out.write_table(table, row_group_size=len(table))
        storage.publish({segment.path: staged})
        seq = segment.last_seq + 1
    for number in range(seq, entries):
        entry = _entry(number, files)
        make_files(entry)
        storage.create(entry.path, entry.to_bytes())


def _segments(entries: int) -> Iterator[Segment]:
    """Return the widest compacted files that this many entries fill."""
    seq = 0
    while True:
        fitting = [
            segment
            for level in range(4)
            if (segment := Segment.holding(seq, level)).first_seq == seq
            and segment.last_seq < entries
        ]
        if not fitting:
            return
        yield fitting[-1]
        seq = fitting[-1].last_seq + 1


def _entry(seq: int, files: int) -> Entry:
    first = (seq - 1) * CLAIMS_PER_ENTRY
    claims = () if seq == 0 else range(first, min(first + CLAIMS_PER_ENTRY, files))
    return Entry(
        seq=seq,
        epoch=1,
        kind="committed" if seq else "opened",
        at=FIRST_HOUR + timedelta(seconds=seq),
        writer="bench",
        published_through=seq - 1,
        claims=tuple(_claim(number, files) for number in claims),
    )


def _claim(number: int, files: int) -> ClaimResult:
    hour = FIRST_HOUR + timedelta(hours=number * YEAR_HOURS // files)
    source = TopicPartition(
        "cluster", f"ztf_{hour:%Y%m%d}_programid1", f"topic-{hour:%Y%m%d}", number % PARTITIONS
    )
    # Each night's topic begins at offset 0.
    first_of_night = -(-(hour - FIRST_HOUR).days * 24 * files // YEAR_HOURS)
    nth = (number - first_of_night) // PARTITIONS
    first, last = nth * ROWS, (nth + 1) * ROWS - 1
    path = alerts_path(source, hour, first, last, FINGERPRINT)
    file = DataFile(path, ROWS, 0, first, last, FINGERPRINT, hour.isoformat())
    return ClaimResult(Claim(source, first, last), (file,), (), (), ())


def _touch(root: Path, entry: Entry) -> None:
    for result in entry.claims:
        for file in result.files:
            path = root / file.path
            try:
                os.mknod(path)
            except FileNotFoundError:
                path.parent.mkdir(parents=True, exist_ok=True)
                os.mknod(path)


def start_s(storage: Storage) -> float:
    """Return how long an archive takes to take its ledger over."""
    begun_s = time.perf_counter()
    recover(Ledger.take_over(storage), storage)
    return time.perf_counter() - begun_s


def one_hour(root: Path) -> tuple[int, int, float]:
    """Count the alerts of one hour; return its files, its alerts and the seconds of the count."""
    hour = FIRST_HOUR + timedelta(hours=YEAR_HOURS // 2)
    files = list(root.glob(f"alerts/*/{hour:year=%Y/month=%m/day=%d/hour=%H}/*.parquet"))
    for file in files:
        shutil.copy(SAMPLE, file)
    begun_s = time.perf_counter()
    dataset = finkray.open_archive(root).dataset(hour, hour + timedelta(hours=1))
    alerts = dataset.to_table(columns=["candid"]).num_rows
    return len(files), alerts, time.perf_counter() - begun_s


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the archive, measure, and print what each took."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    memory = Path("/dev/shm")
    parent = options.folder or (memory if memory.is_dir() else None)
    with working_folder("year", parent) as root:
        _LOG.info("Making %d files in %s", options.files, root)
        make_year(root, options.files)
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
        report = audit(open_storage(StorageLocation(str(root))))
        took_s = time.perf_counter() - begun_s
        cpu_s = time.process_time() - begun_cpu_s
        after_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started_s = start_s(open_storage(StorageLocation(str(root))))
        files, alerts, hour_s = one_hour(root)
    print(
        f"{options.files} files: {took_s:.1f} s, CPU {cpu_s:.1f} s, "
        f"peak memory {after_kb // 1024} MiB ({before_kb // 1024} MiB before); "
        f"balanced: {report.balanced}"
    )
    print(f"start: {started_s:.2f} s; {alerts} alerts of {files} files of one hour: {hour_s:.2f} s")
    return 0 if report.balanced and report.archived == options.files * ROWS else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.audit_year", description=__doc__)
    parser.add_argument("--files", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--folder", type=Path, help="where to make it (default: /dev/shm or /tmp)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
