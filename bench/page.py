"""`python -m bench.page`: what an open tab of the first page costs, and many of them.

Serves the pages with a made snapshot, of which each update differs, from a process of its own, and
opens the first page in a headless Chromium: bytes a second as they come over the wire, CPU of the
server for each update beyond what it takes without a tab, and heap and DOM nodes of the tab before
and after many updates. Then `--viewers` programs ask once a second for what a tab asks for, and for
the snapshot.
"""

import argparse
import http.client
import json
import logging
import math
import multiprocessing
import shutil
import sys
import threading
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from typing import Any, Final

import psutil

from finkray.host.ports import free_ports
from finkray.settings.ui import UiSettings
from finkray.status.archive import BalanceSheet, RatePoint, Snapshot, StageLatency
from ui.kit.live import SEEN_HEADER

HISTORY: Final = 241

_LOG = logging.getLogger("bench.page")


def snapshot() -> Snapshot:
    """Return a snapshot of now with 20 minutes of history."""
    at = datetime.now(UTC)
    history = tuple(
        RatePoint(
            at=at - timedelta(seconds=5 * back),
            incoming_per_s=(rate := 900 + 400 * math.sin(at.timestamp() / 60 - back / 9)),
            archived_per_s=rate * 0.97,
            lag=round(rate),
        )
        for back in range(HISTORY - 1, -1, -1)
    )
    received = int(at.timestamp() * 10)
    return Snapshot(
        version="bench",
        state="running",
        started_at=at - timedelta(hours=4),
        at=at,
        archive_uri="/data/archive",
        bootstrap_servers="kafka.example.org:9092",
        epoch=1,
        incoming_per_s=history[-1].incoming_per_s,
        archived_per_s=history[-1].archived_per_s,
        lag=history[-1].lag,
        balance=BalanceSheet(received=received, archived=received),
        latency=(StageLatency(stage="durable", alerts=900, p50_s=1.1, p95_s=2.2, p99_s=3.3),),
        history=history,
    )


def serve_pages(port: int, refresh_s: float, ended: Connection) -> None:
    """Serve the first page until the other end of the connection is closed.

    The main function of the server's process.
    """
    from ui.app import serve
    from ui.pages import live
    from ui.sources import AT_REST, ENDED_JOBS, SERVICES, STATUS, STREAMOUT, Sources

    sources = (
        Sources()
        .poll(STATUS, snapshot)
        .poll(AT_REST, lambda: None)
        .poll(ENDED_JOBS, lambda: ())
        .poll(SERVICES, lambda: ())
        .poll(STREAMOUT, lambda: None)
    )
    stopping = threading.Event()

    def wait() -> None:
        ended.poll(None)
        stopping.set()

    threading.Thread(target=wait, daemon=True).start()
    serve(UiSettings(port=port, refresh_s=refresh_s), sources, stopping, (live.PAGE,))


class Server:
    """The process of the pages; what it costs is counted beyond what it costs without a tab."""

    def __init__(self, host: str, process: psutil.Process, idle_for_s: float) -> None:
        self.host = host
        self._process = process
        self.idle_share = 0.0
        self._began_s, self._cpu_s = time.monotonic(), self._used_s()
        time.sleep(idle_for_s)
        self.idle_share = self.cost_s() / idle_for_s

    def begin(self) -> None:
        """Count from now on."""
        self._began_s, self._cpu_s = time.monotonic(), self._used_s()

    def cost_s(self) -> float:
        """Return the CPU seconds of the viewers."""
        idle_s = self.idle_share * (time.monotonic() - self._began_s)
        return self._used_s() - self._cpu_s - idle_s

    def _used_s(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)


def measure_tab(server: Server, updates: int, refresh_s: float) -> dict[str, Any]:
    """Return what an open tab costs over a number of updates."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        began_s = time.monotonic()
        page.goto(f"http://{server.host}")
        page.wait_for_selector(".fr-figures")
        first_content_s = time.monotonic() - began_s
        time.sleep(20 * refresh_s)
        session = page.context.new_cdp_session(page)
        received = [0, 0]

        def count(event: dict[str, Any]) -> None:
            received[0] += event["encodedDataLength"]
            received[1] += 1

        session.on("Network.loadingFinished", count)
        session.send("Network.enable")
        session.send("Performance.enable")
        before, began_s = _metrics(session), time.monotonic()
        server.begin()
        while received[1] < updates:
            page.wait_for_timeout(1000)
        after, took_s = _metrics(session), time.monotonic() - began_s
        cpu_s = server.cost_s()
        browser.close()
    return {
        "first_content_s": round(first_content_s, 2),
        "updates": received[1],
        "kb_an_answer": round(received[0] / received[1] / 1000, 2),
        "server_cpu_ms_an_answer": round(1000 * cpu_s / received[1], 2),
        "updates_per_s": round(received[1] / took_s, 1),
        "heap_mb_before": round(before["JSHeapUsedSize"] / 1e6, 1),
        "heap_mb_after": round(after["JSHeapUsedSize"] / 1e6, 1),
        "nodes_before": round(before["Nodes"]),
        "nodes_after": round(after["Nodes"]),
    }


def measure_viewers(server: Server, path: str, viewers: int, for_s: float) -> dict[str, Any]:
    """Return what programs cost that ask for a path once a second, over a connection that stays."""
    asked, received = [0] * viewers, [0] * viewers
    end_s = time.monotonic() + for_s

    def ask(number: int) -> None:
        connection, seen = http.client.HTTPConnection(server.host, timeout=30), ""
        while time.monotonic() < end_s:
            connection.request("GET", path, headers={SEEN_HEADER: seen})
            answer = connection.getresponse()
            received[number] += len(answer.read())
            seen = answer.headers.get("ETag", "").strip('"')
            asked[number] += 1
            time.sleep(1)
        connection.close()

    server.begin()
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(viewers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cpu_s = server.cost_s()
    return {
        "path": path,
        "viewers": viewers,
        "answers_per_s": round(sum(asked) / for_s, 1),
        "kb_an_answer": round(sum(received) / max(1, sum(asked)) / 1000, 2),
        "server_share_of_a_core": round(cpu_s / for_s, 3),
        "server_cpu_ms_an_answer": round(1000 * cpu_s / max(1, sum(asked)), 2),
    }


def _metrics(session: Any) -> dict[str, float]:
    session.send("HeapProfiler.collectGarbage")
    found = session.send("Performance.getMetrics")["metrics"]
    return {each["name"]: each["value"] for each in found}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
    parser.add_argument("--updates", type=int, default=1000, metavar="N", help="(%(default)s)")
    parser.add_argument("--refresh-s", type=float, default=0.1, metavar="S", help="(%(default)s)")
    parser.add_argument("--viewers", type=int, default=50, metavar="N", help="(%(default)s)")
    return parser


def main() -> int:
    """Measure and print; return the exit code."""
    given = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    if shutil.which("chromium") is None:
        _LOG.error("There is no chromium on PATH (Debian: apt-get install chromium)")
        return 1
    (port,) = free_ports(1)
    context = multiprocessing.get_context("spawn")
    # An event would hang where this process sets it after that one was killed.
    ended, ends = context.Pipe(duplex=False)
    process = context.Process(target=serve_pages, args=(port, given.refresh_s, ended))
    process.start()
    try:
        host = f"127.0.0.1:{port}"
        _wait_for(f"http://{host}")
        server = Server(host, psutil.Process(process.pid), 10.0)
        found = {
            "server_share_of_a_core_without_a_tab": round(server.idle_share, 3),
            **measure_tab(server, given.updates, given.refresh_s),
            "viewers": [
                measure_viewers(server, path, given.viewers, 20.0)
                for path in ("/live/live", "/api/v1/snapshot")
            ],
        }
    finally:
        ends.close()
        process.join(30)
    _LOG.info("%s", json.dumps(found, indent=1))
    return 0


def _wait_for(url: str) -> None:
    end_s = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(url, timeout=10).close()
        except OSError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.5)
        else:
            return


if __name__ == "__main__":
    sys.exit(main())
