"""Run one chain under the meter, and check that every alert is there."""

import json
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow.dataset as ds

from bench.chains.chain_run import ChainRun
from bench.figures import Figures, Progress, work_out
from bench.meter import Meter, Sample
from bench.topics import FEEDS
from finkray.host.java import find_java

_LOG = logging.getLogger(__name__)

SAMPLE_S = 0.5
"""Between two looks at the processes; a look costs about 10 ms."""

GRACE_S = 60.0
"""What a chain that is ended early gets to take down what it started."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain that can be measured.

    Attributes
    ----------
    name
        Name on the command line and in the table.
    module
        Module that is the program.
    feeds
        Feeds that it can read.
    what
        One line of description.
    share
        Share of the alerts that it reads; a slow chain shows its rate with fewer.
    """

    name: str
    module: str
    feeds: tuple[str, ...]
    what: str
    share: float = 1.0


OURS = "finkray"

CHAINS = (
    Chain(OURS, "bench.chains.archive", FEEDS, "this archive, exactly once"),
    Chain("fink-2019", "bench.chains.fink_2019", ("bare", "lsst"), "Spark: from_avro"),
    Chain(
        "fink-production",
        "bench.chains.fink_production",
        ("containers", "lsst"),
        "Spark: fastavro in a UDF",
        share=0.4,
    ),
    Chain("bare-loop", "bench.chains.bare_loop", FEEDS, "plain processes, nothing safe"),
)


@dataclass(frozen=True, slots=True)
class Watched:
    """The reports and samples of a chain that archived everything."""

    launched_unix_s: float
    progress: Sequence[Progress]
    samples: Sequence[Sample]
    disk_bytes: int


def measure(
    chain: Chain, chain_run: ChainRun, *, warm_after: int, message_bytes: float, timeout_s: float
) -> Figures:
    """Run a chain over its whole topic; raises as `watch` does."""
    seen = watch(chain, chain_run, timeout_s=timeout_s)
    return work_out(
        seen.progress,
        seen.samples,
        launched_unix_s=seen.launched_unix_s,
        warm_after=warm_after,
        message_bytes=message_bytes,
        disk_bytes=seen.disk_bytes,
    )


def _nothing(_: int) -> None:
    return


def watch(
    chain: Chain, chain_run: ChainRun, *, timeout_s: float, look: Callable[[int], None] = _nothing
) -> Watched:
    """Run a chain until it has archived all alerts of the run.

    Parameters
    ----------
    look
        called about twice a second with the number of alerts that are in Parquet files

    Raises
    ------
    RuntimeError
        It failed, took too long, or did not write every alert exactly once; the message
        names its log.
    """
    folder = Path(chain_run.folder)
    folder.mkdir(parents=True)
    log_file = folder / "log"
    launched_unix_s = time.time()
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", chain.module, chain_run.to_json()],
            stdout=subprocess.PIPE,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=find_java().environment(),
            start_new_session=True,
        )
        progress, samples = _follow(process, launched_unix_s + timeout_s, look)
    if process.returncode != 0 or not progress or progress[-1].alerts != chain_run.alerts:
        reached = progress[-1].alerts if progress else 0
        raise RuntimeError(
            f"{chain.name} ended with code {process.returncode} after {reached} of "
            f"{chain_run.alerts} alerts. The end of {log_file}:\n"
            f"{log_file.read_text(errors='replace')[-3000:]}"
        )
    rows, disk_bytes = found_below(folder)
    if rows != chain_run.alerts:
        raise RuntimeError(
            f"{chain.name} wrote {rows} rows for {chain_run.alerts} alerts: {folder}"
        )
    return Watched(launched_unix_s, progress, samples, disk_bytes)


def found_below(folder: Path) -> tuple[int, int]:
    """Return rows and bytes in all Parquet files that a reader of the output would find."""
    candidates = (folder / "parquet", folder / "archive/alerts")
    outputs = [output for output in candidates if output.is_dir()]
    rows = sum(ds.dataset(output, format="parquet").count_rows() for output in outputs)
    files = [file for output in outputs for file in output.rglob("*.parquet")]
    return rows, sum(file.stat().st_size for file in files)


def _follow(
    process: "subprocess.Popen[bytes]", deadline_unix_s: float, look: Callable[[int], None]
) -> tuple[list[Progress], list[Sample]]:
    """Collect the reports and samples of a chain until it ends or its time is up."""
    progress: list[Progress] = []
    samples: list[Sample] = []
    reader = threading.Thread(target=_read, args=(process.stdout, progress))
    reader.start()
    meter = Meter(process.pid)
    try:
        while process.poll() is None and time.time() < deadline_unix_s:
            samples.append(meter.sample())
            look(progress[-1].alerts if progress else 0)
            time.sleep(SAMPLE_S)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_S)
        # Also those whose parent has ended; after a proper end there are none.
        meter.end_all()
        process.wait()
        reader.join()
    return progress, samples


def _read(lines: "IO[bytes]", progress: list[Progress]) -> None:
    for line in lines:
        try:
            progress.append(Progress(**json.loads(line)))
        except (ValueError, TypeError):
            # Ray and Spark write lines of their own to standard output.
            _LOG.debug("not a report: %r", line)
