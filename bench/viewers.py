"""`python -m bench.viewers`: the rate of an archive while many people look at its page.

An archive takes in bursts of alerts that are sent as fast as Kafka takes them; its page runs beside
it, as `finkray start ui` runs it. Bursts come in pairs, one without and one with viewers, and each
pair has the other order than the one before: so a burst is compared with its neighbour, and
whatever drifts meets both. A viewer asks for what an open tab of the first page asks for, over a
connection that stays; all are threads of a process of their own, which runs all the time and is
told when to look. A viewer's machine is another one, so that process takes what the others leave
(`SCHED_IDLE`); how many answers it still got, and what CPU it took, is counted.

Each figure is the median over the pairs: the time until the last alert of a burst is durable; the
CPU that the archive takes for it (its processes, Ray's and Spark's, without Kafka and page); and
the CPU that the page takes more, as a share of the archive's, which hardly depends on what else the
machine does. By how much two bursts of the same sort in a row differ says what the first can tell.
"""

import argparse
import http.client
import json
import logging
import math
import multiprocessing
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from bench.meter import Meter
from bench.options import add_common, begin, working_folder
from bench.running import RunningArchive
from bench.stream import Stream, running_stream
from bench.topics import ZTF_PACKETS, read_feed
from finkray.host.ports import free_ports
from sim.broker.kafka import Kafka
from ui.kit.live import SEEN_HEADER
from ui.pages.live import LARGE_EVERY

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

SMALL: Final = ("live/live",)
LARGE: Final = ("live/live-large", "live/header")
"""What a tab asks for each second, and each fifth."""

ASKED_PER_S: Final = len(SMALL) + len(LARGE) / LARGE_EVERY
"""Requests of a viewer each second."""

NOT_THE_ARCHIVE: Final = ("kafka.Kafka", "jobs.daemons.page", "multiprocessing.spawn")
"""Words of the command lines of Kafka, the page and the viewers."""

_LOG = logging.getLogger("bench.viewers")
_DRAIN_S = 60.0
_SETTLE_S = 2.0


@dataclass(frozen=True)
class Burst:
    """What a burst of alerts took.

    Attributes
    ----------
    per_s
        alerts/s from the first one sent until the last was durable
    archive_cpu_s
        CPU of the archive's processes for 1 000 alerts
    page_cpu_s
        CPU of the page meanwhile, for 1 000 alerts
    viewers_cpu_s
        CPU of the program that is the viewers, for 1 000 alerts
    answers_per_s
        answers of the page to all viewers
    """

    per_s: float
    archive_cpu_s: float
    page_cpu_s: float
    viewers_cpu_s: float
    answers_per_s: float


@dataclass(frozen=True)
class Measured:
    """The figures of one run.

    Attributes
    ----------
    alerts
        of a burst
    viewers
        how many looked
    without, watched
        the bursts without and with viewers; those at the same place are a pair. The first of the
        even pairs is the one without
    """

    alerts: int
    viewers: int
    without: tuple[Burst, ...]
    watched: tuple[Burst, ...]

    @property
    def rate_ratio(self) -> float:
        """The median of the pairs: alerts/s with viewers to those without."""
        return statistics.median(self.rate_ratios)

    @property
    def rate_ratios(self) -> tuple[float, ...]:
        """Alerts/s with viewers to those without, of each pair."""
        pairs = zip(self.watched, self.without, strict=True)
        return tuple(watched.per_s / without.per_s for watched, without in pairs)

    @property
    def cpu_ratio(self) -> float:
        """The median of the pairs: the archive's CPU with viewers to that without."""
        pairs = zip(self.watched, self.without, strict=True)
        return statistics.median(
            watched.archive_cpu_s / without.archive_cpu_s for watched, without in pairs
        )

    @property
    def page_ratio(self) -> float:
        """The median of the pairs: what viewers cost the page, to the archive's own CPU."""
        pairs = zip(self.watched, self.without, strict=True)
        return statistics.median(
            (watched.page_cpu_s - without.page_cpu_s) / without.archive_cpu_s
            for watched, without in pairs
        )

    @property
    def alike_differ(self) -> float:
        """By which share two bursts of the same sort in a row differ in alerts/s: the median.

        Pairs have changing orders, so each pair begins as the one before it ended.
        """
        ended_with = (
            self.watched if number % 2 == 0 else self.without for number in range(len(self.watched))
        )
        in_a_row = [
            (bursts[number].per_s, bursts[number + 1].per_s)
            for number, bursts in enumerate(ended_with)
            if number + 1 < len(bursts)
        ]
        if not in_a_row:
            return math.nan
        return statistics.median(abs(after / before - 1) for before, after in in_a_row)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    options = _parser().parse_args(arguments)
    if not begin(options.data, (ZTF_PACKETS,)):
        return 2
    with working_folder("viewers", options.folder, keep=options.keep) as folder:
        measured = measure(options, folder)
    print(render(measured))
    if options.json:
        names = ("rate_ratio", "cpu_ratio", "page_ratio")
        ratios = {name: getattr(measured, name) for name in names}
        report = {"cores": os.cpu_count(), **ratios, **asdict(measured)}
        options.json.write_text(json.dumps(report, indent=2), encoding="utf-8")
    return 0


def measure(options: argparse.Namespace, folder: Path) -> Measured:
    """Measure pairs of bursts, without and with viewers."""
    feed = read_feed("containers", options.data)
    (port,) = free_ports(1)
    settings = f"[ui]\nport = {port}\n"
    found: dict[bool, list[Burst]] = {False: [], True: []}
    with (
        Kafka.running(folder / "kafka") as kafka,
        running_stream(kafka, feed, folder, "seen", options, more=settings) as stream,
        _page(stream.archive, port) as page,
        _viewers(port, options.viewers) as viewers,
    ):
        stream.burst_per_s(options.warm)
        meter = Meter(os.getpid(), without=NOT_THE_ARCHIVE)
        for number in range(options.rounds):
            for watched in (False, True) if number % 2 == 0 else (True, False):
                viewers.look(watched)
                time.sleep(_SETTLE_S)  # all have asked, or have ended
                burst = _burst(stream, meter, page, viewers, options.alerts)
                _LOG.info("%s viewers: %s", options.viewers if watched else "no", burst)
                found[watched].append(burst)
    return Measured(options.alerts, options.viewers, tuple(found[False]), tuple(found[True]))


def render(measured: Measured) -> str:
    """Return the figures as text."""
    without, watched = measured.without, measured.watched

    def rates(bursts: Sequence[Burst]) -> str:
        return ", ".join(f"{burst.per_s:,.0f}" for burst in bursts)

    def median(bursts: Sequence[Burst], name: str) -> float:
        return statistics.median(getattr(burst, name) for burst in bursts)

    def medians(name: str) -> str:
        before, after = median(without, name), median(watched, name)
        return f"{before:.3f} without viewers, {after:.3f} with"

    answers, asked = median(watched, "answers_per_s"), measured.viewers * ASKED_PER_S
    pairs = ", ".join(f"{ratio:.1%}" for ratio in measured.rate_ratios)
    return (
        f"bursts of {measured.alerts:,} alerts, alerts/s without viewers: {rates(without)}; "
        f"with {measured.viewers}: {rates(watched)}\n"
        f"rate with viewers, of the pairs: {pairs}; median {measured.rate_ratio:.1%} "
        f"(two bursts of the same sort in a row differ by {measured.alike_differ:.1%})\n"
        f"CPU s of the archive for 1 000 alerts: {medians('archive_cpu_s')}; "
        f"median of the pairs {measured.cpu_ratio:.1%}\n"
        f"CPU s of the page for 1 000 alerts: {medians('page_cpu_s')}; "
        f"median of the pairs {measured.page_ratio:.1%} of the archive's\n"
        f"the viewers asked {asked:.0f} times/s, got {answers:.0f} answers/s, and took "
        f"{median(watched, 'viewers_cpu_s'):.3f} CPU s for 1 000 alerts"
    )


@dataclass(frozen=True, slots=True)
class Viewers:
    """The process that is the viewers: `look` tells it whether to ask, `answers` counts."""

    process: psutil.Process
    look: Callable[[bool], None]
    answers: "Synchronized[int]"


def view(port: int, viewers: int, told: Connection, answers: "Synchronized[int]") -> None:
    """Ask as so many open tabs do while told so, until the other end of the connection is closed.

    The main function of a process, which exits with 1 if the page did not answer one of them.
    """
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    looking, stopping = threading.Event(), threading.Event()
    failed: list[str] = []

    def ask(number: int) -> None:
        try:
            _look(port, number, looking, stopping, answers)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            failed.append(f"viewer {number}: {error!r}")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(viewers)]
    for thread in threads:
        thread.start()
    try:
        while True:
            (looking.set if told.recv() else looking.clear)()
    except EOFError:
        stopping.set()
    for thread in threads:
        thread.join()
    if failed:
        sys.exit("\n".join(failed))


def _look(
    port: int,
    number: int,
    looking: threading.Event,
    stopping: threading.Event,
    answers: "Synchronized[int]",
) -> None:
    """Ask as an open tab does; `number` is the viewer's, so that not all ask for much at once."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    seen: dict[str, str] = {}
    turn = number
    while not stopping.wait(1):
        if not looking.is_set():
            connection.close()  # the next request opens it again
            continue
        turn += 1
        for path in SMALL + (LARGE if turn % LARGE_EVERY == 0 else ()):
            connection.request("GET", f"/{path}", headers={SEEN_HEADER: seen.get(path, "")})
            answer = connection.getresponse()
            answer.read()
            if answer.status not in (200, 204):
                raise RuntimeError(f"the page answers {answer.status} to {path}")
            seen[path] = answer.headers.get("ETag", "").strip('"')
            with answers.get_lock():
                answers.value += 1
    connection.close()


@contextmanager
def _viewers(port: int, viewers: int) -> Iterator[Viewers]:
    """Run the process of the viewers."""
    context = multiprocessing.get_context("spawn")
    told, tell = context.Pipe(duplex=False)
    answers = context.Value("L", 0)
    process = context.Process(target=view, args=(port, viewers, told, answers))
    process.start()
    told.close()
    try:
        yield Viewers(psutil.Process(process.pid), tell.send, answers)
    finally:
        tell.close()
        process.join(_DRAIN_S)
    if process.exitcode != 0:
        raise RuntimeError(f"the viewers ended with exit code {process.exitcode}")


def _burst(
    stream: Stream, meter: Meter, page: psutil.Process, viewers: Viewers, alerts: int
) -> Burst:
    def counters() -> tuple[float, float, float, float, int]:
        cpu_s = meter.sample().cpu_s, _cpu_s(page), _cpu_s(viewers.process)
        return time.monotonic(), *cpu_s, viewers.answers.value

    before = counters()
    per_s = stream.burst_per_s(alerts)
    time.sleep(_SETTLE_S)  # what follows the commit costs too
    seconds, archive_s, page_s, viewers_s, answers = (
        after - each for after, each in zip(counters(), before, strict=True)
    )
    thousands = alerts / 1000
    return Burst(
        per_s, archive_s / thousands, page_s / thousands, viewers_s / thousands, answers / seconds
    )


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
    add("--alerts", type=int, default=12_000, metavar="N", help="of a burst (%(default)s)")
    add("--warm", type=int, default=5_000, metavar="N", help="before, not counted (%(default)s)")
    add("--viewers", type=int, default=50, metavar="N", help="(%(default)s)")
    add("--rounds", type=int, default=6, metavar="N", help="pairs of bursts (%(default)s)")
    add("--timeout", type=float, default=600.0, metavar="S", help="of each step (%(default)s)")
    add_common(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
