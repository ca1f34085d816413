"""`python -m bench.stores URI ...`: what an archive's storage costs, on each of some storages.

Claims of one file of random bytes are staged by as many threads as there are task slots, committed
and published, by the archive's own classes. Then an archive is started whose ledger is that of a
year of a million files. The figures of a store on the same machine have its CPU time in the rates,
and not in the CPU time, which is that of this process. For s3:// the keys are in the environment;
it is measured in both ways to publish.
"""

import argparse
import logging
import os
import statistics
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.audit_year import FINGERPRINT, FIRST_HOUR, make_ledger, start_s
from bench.table import layout
from finkray.claim import Claim, ClaimResult, DataFile, StagedClaim, TopicPartition
from finkray.ledger.log import Ledger
from finkray.ledger.publish import publish
from finkray.storage.contract import Storage
from finkray.storage.layout import alerts_path
from finkray.storage.opening import Option, StorageLocation, open_storage

ROWS = 800
"""Alerts in a claim of 32 MiB; an alert of ZTF takes 41 kB of it."""

CLAIMS_PER_ENTRY = 4

SOURCE = TopicPartition("cluster", "ztf_20260101_programid1", "topic-20260101", 0)

_LOG = logging.getLogger("bench")


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one storage and size of file.

    Attributes
    ----------
    mib_per_s
        staged, committed and published
    cpu_ms_per_mib
        of this process
    visible_s
        from the return of each commit until its files are published
    """

    mib_per_s: float
    cpu_ms_per_mib: float
    visible_s: list[float]

    @property
    def p95_s(self) -> float:
        """The 95th percentile of `visible_s`."""
        return statistics.quantiles(self.visible_s, n=20)[-1]


def measure(storage: Storage, file_bytes: int, entries: int, threads: int) -> Measured:
    """Archive claims of one file each, `CLAIMS_PER_ENTRY` to a commit."""
    data = os.urandom(file_bytes)
    ledger = Ledger.take_over(storage)
    visible_s = []
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as tasks:
        staged: list[StagedClaim] = []
        # As in the archive, the files of the next claims are staged while some are published.
        numbers = range(entries * CLAIMS_PER_ENTRY)
        for claim in tasks.map(
            lambda number: _stage(storage, ledger.staging, number, data), numbers
        ):
            staged.append(claim)
            if len(staged) == CLAIMS_PER_ENTRY:
                ledger.append(staged)
                committed_s = time.perf_counter()
                publish(ledger, storage)
                visible_s.append(time.perf_counter() - committed_s)
                staged = []
    mib = entries * CLAIMS_PER_ENTRY * file_bytes / 2**20
    return Measured(
        mib / (time.perf_counter() - begun_s),
        1e3 * (time.process_time() - begun_cpu_s) / mib,
        visible_s,
    )


def _stage(storage: Storage, staging: str, number: int, data: bytes) -> StagedClaim:
    first, last = number * ROWS, (number + 1) * ROWS - 1
    path = alerts_path(SOURCE, FIRST_HOUR, first, last, FINGERPRINT)
    staged = f"{staging}/{number}.parquet"
    with storage.stage(staged, path) as sink:
        sink.write(data)
    file = DataFile(path, ROWS, len(data), first, last, FINGERPRINT, FIRST_HOUR.isoformat())
    return StagedClaim(ClaimResult(Claim(SOURCE, first, last), (file,), (), (), ()), {path: staged})


def _ways(uri: str) -> Iterator[tuple[str, dict[str, Option]]]:
    """Yield a name and the options for each way to publish on a storage."""
    name = uri.partition("://")[0] if "://" in uri else "folder"
    if name != "s3":
        yield name, {}
        return
    for way in ("deferred", "copy"):
        yield f"s3, {way}", {"publish": way}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each storage, and print a table."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    rows = [("storage", "file MiB", "MiB/s", "CPU ms/MiB", "visible p50 s", "p95 s", "start s")]
    for uri in options.uri:
        for name, more in _ways(uri):
            root = open_storage(StorageLocation(f"{uri.rstrip('/')}/{uuid.uuid4().hex}", more))
            start_text = ""
            if options.files:
                make_ledger(year := root.below("year"), options.files, lambda _: None)
                start_text = f"{start_s(year):.2f}"
            for mib in options.mib:
                folder = root.below(f"files-{mib}")
                found = measure(folder, int(mib * 2**20), options.entries, options.threads)
                rows.append(
                    (
                        name,
                        f"{mib:g}",
                        f"{found.mib_per_s:.0f}",
                        f"{found.cpu_ms_per_mib:.2f}",
                        f"{statistics.median(found.visible_s):.3f}",
                        f"{found.p95_s:.3f}",
                        start_text,
                    )
                )
                _LOG.info("%s", rows[-1])
            root.delete_folder("")
    print(layout(rows))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.stores", description=__doc__)
    parser.add_argument("uri", nargs="+", help="a folder, s3://BUCKET/PREFIX, hdfs://HOST:PORT/F")
    parser.add_argument("--mib", type=float, nargs="+", default=[1.0, 32.0], help="of a file")
    parser.add_argument("--entries", type=int, default=20, help="commits of four files each")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="that stage")
    parser.add_argument("--files", type=int, default=1_000_000, help="of the archive that starts")
    return parser


if __name__ == "__main__":
    sys.exit(main())
