"""`python -m bench.viewers`: the rate of an archive while many people look at its page.

An archive takes in bursts of alerts that are sent as fast as Kafka takes them; its page runs beside
it, as `finkray start ui` runs it. Bursts without and with viewers come in turn. A viewer asks for
what an open tab of the first page asks for, over a connection that stays; all are threads of a
process of their own, of low priority, for a viewer's machine is another one. What counts is the
time until the last alert of a burst is durable.
"""

import argparse
import http.client
import json
import logging
import multiprocessing
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import psutil

from bench.options import add_common, begin, working_folder
from bench.running import RunningArchive
from bench.stream import Stream, running_stream
from bench.topics import ZTF_PACKETS, read_feed
from finkray.host.ports import free_ports
from sim.broker.kafka import Kafka
from ui.kit.live import SEEN_HEADER
from ui.pages.live import LARGE_EVERY

SMALL: Final = ("live/live",)
LARGE: Final = ("live/live-large", "live/header")
"""What a tab asks for each second, and each fifth."""

_LOG = logging.getLogger("bench.viewers")
_DRAIN_S = 60.0


@dataclass(frozen=True)
class Measured:
    """The figures of one run.

    Attributes
    ----------
    alerts
        of a burst
    viewers
        how many asked
    without_per_s, with_per_s
        alerts/s of each burst until its last alert was durable, without and with viewers
    without_share, with_share
        CPU of the page during these bursts, as a share of one core
    """

    alerts: int
    viewers: int
    without_per_s: tuple[float, ...]
    with_per_s: tuple[float, ...]
    without_share: float
    with_share: float

    @property
    def ratio(self) -> float:
        """The median rate with viewers to the median rate without."""
        return statistics.median(self.with_per_s) / statistics.median(self.without_per_s)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    options = _parser().parse_args(arguments)
    if not begin(options.data, (ZTF_PACKETS,)):
        return 2
    with working_folder("viewers", options.folder, keep=options.keep) as folder:
        measured = measure(options, folder)
    print(render(measured))
    if options.json:
        report = {"cores": os.cpu_count(), "ratio": measured.ratio, **asdict(measured)}
        options.json.write_text(json.dumps(report, indent=2), encoding="utf-8")
    return 0


def measure(options: argparse.Namespace, folder: Path) -> Measured:
    """Measure bursts without and with viewers, in turn."""
    feed = read_feed("containers", options.data)
    (port,) = free_ports(1)
    settings = f"[ui]\nport = {port}\n"
    rates: dict[bool, list[float]] = {False: [], True: []}
    shares: dict[bool, list[float]] = {False: [], True: []}
    with (
        Kafka.running(folder / "kafka") as kafka,
        running_stream(kafka, feed, folder, "seen", options, more=settings) as stream,
        _page(stream.archive, port) as page,
    ):
        stream.burst_per_s(options.warm)
        for number in range(options.rounds):
            # The order changes: whatever drifts meets both.
            for watched in (False, True) if number % 2 == 0 else (True, False):
                rate, share = _burst(stream, page, port, options, watched=watched)
                _LOG.info("%s viewers: %.0f alerts/s", options.viewers if watched else "no", rate)
                rates[watched].append(rate)
                shares[watched].append(share)
    return Measured(
        alerts=options.alerts,
        viewers=options.viewers,
        without_per_s=tuple(rates[False]),
        with_per_s=tuple(rates[True]),
        without_share=statistics.median(shares[False]),
        with_share=statistics.median(shares[True]),
    )


def render(measured: Measured) -> str:
    """Return the figures as text."""

    def listed(rates: Sequence[float]) -> str:
        return ", ".join(f"{rate:,.0f}" for rate in rates)

    return (
        f"bursts of {measured.alerts:,} alerts, alerts/s without viewers: "
        f"{listed(measured.without_per_s)}; with {measured.viewers}: "
        f"{listed(measured.with_per_s)}; of the medians {measured.ratio:.1%}\n"
        f"CPU of the page: {measured.without_share:.3f} of a core without viewers, "
        f"{measured.with_share:.3f} with"
    )


def view(port: int, viewers: int, ended: Connection) -> None:
    """Ask as so many open tabs do until the other end of the connection is closed.

    The main function of a process, which exits with 1 if the page did not answer one of them.
    """
    os.nice(19)
    stopping = threading.Event()
    failed: list[str] = []

    def ask(number: int) -> None:
        try:
            look(number)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            failed.append(f"viewer {number}: {error!r}")

    def look(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        seen: dict[str, str] = {}
        turn = number  # not all ask for the large parts at once
        while not stopping.wait(1):
            turn += 1
            for path in SMALL + (LARGE if turn % LARGE_EVERY == 0 else ()):
                connection.request("GET", f"/{path}", headers={SEEN_HEADER: seen.get(path, "")})
                answer = connection.getresponse()
                answer.read()
                if answer.status not in (200, 204):
                    raise RuntimeError(f"the page answers {answer.status} to {path}")
                seen[path] = answer.headers.get("ETag", "").strip('"')
        connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(viewers)]
    for thread in threads:
        thread.start()
    ended.poll(None)
    stopping.set()
    for thread in threads:
        thread.join()
    if failed:
        sys.exit("\n".join(failed))


def _burst(
    stream: Stream, page: psutil.Process, port: int, options: argparse.Namespace, *, watched: bool
) -> tuple[float, float]:
    """Return alerts/s of a burst, and the page's share of a core meanwhile."""
    context = multiprocessing.get_context("spawn")
    # An event would hang where this process sets it after that one was killed.
    ended, ends = context.Pipe(duplex=False)
    process = context.Process(target=view, args=(port, options.viewers, ended))
    if watched:
        process.start()
        time.sleep(5)  # all have asked
    try:
        before_s, began_s = _cpu_s(page), time.monotonic()
        per_s = stream.burst_per_s(options.alerts)
        share = (_cpu_s(page) - before_s) / (time.monotonic() - began_s)
    finally:
        ends.close()
        if watched:
            process.join(_DRAIN_S)
    if watched and process.exitcode != 0:
        raise RuntimeError(f"the viewers ended with exit code {process.exitcode}")
    return per_s, share


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def _page(archive: RunningArchive, port: int) -> Iterator[psutil.Process]:
    """Run the page of an archive; yield its process when it answers."""
    state = {"FINKRAY_STATE": str(archive.root.parent / "state")}
    with archive.daemon("page", "jobs.daemons.page", environment=state) as process:
        _wait_until_it_answers(f"http://127.0.0.1:{port}/live/live", process)
        yield psutil.Process(process.pid)


def _wait_until_it_answers(url: str, process: "subprocess.Popen[bytes]") -> None:
    ends_s = time.monotonic() + 120.0
    while True:
        try:
            urllib.request.urlopen(url, timeout=10).close()
        except OSError as error:
            if time.monotonic() > ends_s or process.poll() is not None:
                raise RuntimeError("the page does not answer") from error
            time.sleep(0.5)
        else:
            return


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.viewers", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--alerts", type=int, default=40_000, metavar="N", help="of a burst (%(default)s)")
    add("--warm", type=int, default=5_000, metavar="N", help="before, not counted (%(default)s)")
    add("--viewers", type=int, default=50, metavar="N", help="(%(default)s)")
    add("--rounds", type=int, default=3, metavar="N", help="without and with (%(default)s)")
    add("--timeout", type=float, default=600.0, metavar="S", help="of each step (%(default)s)")
    add_common(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
