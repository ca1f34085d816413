"""Run the demo, `make demo`: archive a night from a real Kafka as Parquet.

Kafka, Ray, the archive process and the page run in a temporary folder and are stopped at the end,
also after Ctrl-C or an error. Only the archive stays.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from finkray.dead_letter_reason import DeadLetterReason
from finkray.errors import FinkrayError
from finkray.host.exit_codes import CommandExit
from finkray.host.interrupt import Interrupts
from finkray.host.ports import free_ports
from finkray.host.process import start_detached
from finkray.settings.model import Settings, load
from finkray.status.archive import Snapshot
from finkray.status.board import ARCHIVE_BOARD, read_board
from finkray.storage.opening import open_storage
from finkray.surveys import SURVEYS
from jobs.cluster.connect import Cluster, connected
from jobs.cluster.local_ray import start_local_ray, stop_local_ray
from jobs.cluster.logs import text_end
from jobs.commands.audit import audit_now
from jobs.commands.render_audit import audit_text
from sim.broker.kafka import Kafka
from sim.player.files import survey_of_files
from sim.player.play import Played, play
from sim.player.sources import from_files, made
from sim.ztf.alerts import ZtfMaker

PARTITIONS = 4
DRAIN_TIMEOUT_S = 90.0
PLAYER_TIMEOUT_S = 30.0
PAGE_TIMEOUT_S = 5.0
"""How long the page may take to end; it writes nothing that could be lost."""
STALL_S = 180.0
"""The demo has failed if no alert becomes durable for this long after the last one was sent."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the command line."""

    alerts: int
    data: Path | None
    archive: Path
    schemas: Path | None = None
    page: bool = True


class Demo:
    """The steps of the demo; each prints what it does."""

    def __init__(
        self, options: Options, console: Console, folder: Path, interrupts: Interrupts
    ) -> None:
        self._options = options
        self._console = console
        self._folder = folder
        self._interrupts = interrupts
        # Without a folder of the schemas of frames, the player fills one with those of containers.
        self._schemas = options.schemas or folder / "schemas"
        self.survey = "ztf" if options.data is None else survey_of_files(options.data) or "ztf"
        self._began_s = time.monotonic()

    def run(self) -> int:
        """Run all steps; return the exit code."""
        with ExitStack() as stack, self._interrupts.ignored_after():
            self._say(f"Kafka: starting a real one in {self._folder / 'kafka'}")
            kafka = stack.enter_context(
                _stopped(Kafka.start(self._folder / "kafka", die_with_parent=True))
            )
            pattern = SURVEYS[self.survey].simulated_topic
            topic = pattern.replace("{date}", f"{datetime.now(UTC):%Y%m%d}")
            kafka.create_topic(topic, partitions=PARTITIONS)
            self._say(f"Kafka: answers on {kafka.bootstrap_servers}, topic {topic}")
            settings = self._settings(kafka, topic)
            self._say("Ray: starting a local cluster")
            stack.callback(stop_local_ray, self._folder)
            ray = start_local_ray(self._folder, settings.ray)
            self._say(f"Ray: runs, dashboard on {ray.dashboard_url}")
            log = self._folder / "archive.log"
            archive = stack.enter_context(_archive(settings, self._folder, log, ray.environment()))
            if self._options.page:
                stack.enter_context(_page(self._folder, ray.environment()))
            cluster = Cluster(ray.address, ray)
            with connected(cluster, settings.ray):
                self._interrupts.install()  # Ray has installed handlers of its own
                self._say("Archive: ingest actors on Kafka, Spark on Ray; ready in about 20 s")
                self._wait_until_running(settings, archive, log)
                if self._options.page:
                    self._say(f"Page: http://{settings.ui.host}:{settings.ui.port} while this runs")
                played, last = self._play(settings, kafka, topic, archive, log)
            self._say("Archive: draining and ending")
            archive.send_signal(signal.SIGINT)
            archive.wait(DRAIN_TIMEOUT_S)
            took_s = time.monotonic() - self._began_s
            return _report(self._console, settings, self.survey, played, last, took_s=took_s)

    def _settings(self, kafka: Kafka, topic: str) -> Settings:
        self._options.archive.mkdir(parents=True, exist_ok=True)
        if self._options.schemas is None:
            self._schemas.mkdir(exist_ok=True)
        overrides: dict[str, dict[str, Any]] = {
            "kafka": {"bootstrap_servers": kafka.bootstrap_servers, "topics": [topic]},
            "archive": {"uri": str(self._options.archive)},
            "packets": {"schema_folder": str(self._schemas)},
            "ray": {"namespace": "finkray-demo", "local_dashboard_port": 0},
            "ui": {"port": free_ports(1)[0]},
        }
        return load(None, {}, overrides)

    def _wait_until_running(
        self, settings: Settings, archive: subprocess.Popen[bytes], log: Path
    ) -> None:
        with self._console.status("waiting for the first micro-batch"):
            while True:
                self._check(archive, log)
                snapshot = read_board(ARCHIVE_BOARD, settings)
                if snapshot is not None and snapshot.state == "running":
                    return
                time.sleep(0.2)

    def _play(
        self,
        settings: Settings,
        kafka: Kafka,
        topic: str,
        archive: subprocess.Popen[bytes],
        log: Path,
    ) -> tuple[Played, Snapshot]:
        options = self._options
        if options.data is not None:
            framed = self._schemas if options.schemas is None else None
            source = from_files(options.data, survey=self.survey, schema_folder=framed)
            count, what = None, f"the packets of {options.data}"
        else:
            source, count = made(ZtfMaker(seed=1)), options.alerts
            what = f"{count} simulated alerts"
        self._say(f"Playing {what} into Kafka as fast as it takes them")
        results: list[Played | Exception] = []

        stop = threading.Event()

        def player() -> None:
            try:
                results.append(play(source, kafka.bootstrap_servers, topic, count=count, stop=stop))
            except Exception as error:  # noqa: BLE001 - raised below, in the main thread
                results.append(error)

        thread = threading.Thread(target=player, name="player", daemon=True)
        thread.start()
        try:
            return self._watch(settings, results, archive, log)
        finally:
            # A thread that still sends while Python ends makes it abort.
            stop.set()
            thread.join(PLAYER_TIMEOUT_S)

    def _watch(
        self,
        settings: Settings,
        results: list[Played | Exception],
        archive: subprocess.Popen[bytes],
        log: Path,
    ) -> tuple[Played, Snapshot]:
        """Show the rates until every alert that was played is durable."""
        moved_s, last_position, shown_s = time.monotonic(), -1, 0.0
        with self._console.status("playing") as status:
            while True:
                self._check(archive, log)
                if results and isinstance(results[0], Exception):
                    raise results[0]
                played = next((r for r in results if isinstance(r, Played)), None)
                snapshot = read_board(ARCHIVE_BOARD, settings)
                if snapshot is not None:
                    status.update(_live_line(snapshot))
                    if not self._console.is_terminal and time.monotonic() - shown_s > 2.0:
                        shown_s = time.monotonic()
                        self._console.print(_live_line(snapshot))
                    if played is not None and _all_durable(played, snapshot):
                        return played, snapshot
                    position = sum(each.frontier - each.backlog for each in snapshot.partitions)
                    if position != last_position:
                        moved_s, last_position = time.monotonic(), position
                if played is not None and time.monotonic() - moved_s > STALL_S:
                    raise FinkrayError(
                        f"nothing became durable for {STALL_S:.0f} s. The end of the archive's "
                        f"log:\n{text_end(log)}"
                    )
                time.sleep(0.25)

    def _check(self, archive: subprocess.Popen[bytes], log: Path) -> None:
        self._interrupts.check()
        if archive.poll() is not None:
            raise FinkrayError(f"the archive ended. The end of its log:\n{text_end(log)}")

    def _say(self, text: str) -> None:
        self._interrupts.check()
        self._console.print(f"[{time.monotonic() - self._began_s:5.1f} s] {text}", markup=False)


def _all_durable(played: Played, snapshot: Snapshot) -> bool:
    frontiers = {lane.partition: lane.frontier for lane in snapshot.partitions}
    return snapshot.backlog == 0 and all(
        frontiers.get(partition, 0) > sent.last_offset
        for partition, sent in played.partitions.items()
    )


@contextmanager
def _stopped(kafka: Kafka) -> Iterator[Kafka]:
    try:
        yield kafka
    finally:
        kafka.stop()


@contextmanager
def _archive(
    settings: Settings, folder: Path, log: Path, environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the archive as a process; kill it at the end if it has not ended by itself."""
    config = folder / "settings.json"
    config.write_text(settings.to_json_with_secrets(), encoding="utf-8")
    process = start_detached(
        [sys.executable, "-m", "finkray.archive", "--config", str(config)],
        log=log,
        environment={**os.environ, **environment},
        die_with_parent=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(DRAIN_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def _page(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run the page as a process; kill it at the end if it does not end by itself."""
    process = start_detached(
        [sys.executable, "-m", "jobs.daemons.page", "--config", str(folder / "settings.json")],
        log=folder / "page.log",
        environment={**os.environ, **environment, "FINKRAY_STATE": str(folder)},
        die_with_parent=True,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PAGE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _live_line(snapshot: Snapshot) -> str:
    """Return a line with the current rates."""
    held = snapshot.held_bytes / 2**20
    lag = snapshot.lag + snapshot.backlog
    return (
        f"taken in {snapshot.incoming_per_s:6.0f}/s   archived {snapshot.archived_per_s:6.0f}/s   "
        f"durable {snapshot.balance.archived:>8}   lag {lag:>6}   held {held:5.0f} MiB"
    )


def _report(
    console: Console,
    settings: Settings,
    survey: str,
    played: Played,
    last: Snapshot,
    *,
    took_s: float,
) -> int:
    """Print the balance sheet, rates, latencies and a next step; return the exit code."""
    audit = audit_now(settings)
    uri = open_storage(settings.archive).uri
    console.print()
    console.print(f"Parquet database: {uri}/alerts", markup=False)
    console.print(audit_text(audit))
    rate = played.alerts / played.elapsed_s
    console.print(
        f"Rates: played {rate:.0f} alerts/s "
        f"({played.size_bytes / played.elapsed_s / 1e6:.0f} MB/s), "
        f"archived at best {max(point.archived_per_s for point in last.history):.0f} alerts/s"
    )
    for stage in last.latency:
        console.print(
            f"Latency, Kafka timestamp to {stage.stage:8}: "
            f"p50 {stage.p50_s:6.2f} s   p95 {stage.p95_s:6.2f} s   p99 {stage.p99_s:6.2f} s"
        )
    if hint := unknown_schemas_hint(last):
        console.print(hint, markup=False)
    console.print(f"All of it took {took_s:.0f} s. Look into the data:")
    console.print(f"  {_example_command(uri, survey)}", markup=False)
    return audit.exit_code


def unknown_schemas_hint(last: Snapshot) -> str:
    """Return what to do about frames whose schemas are not known; "" if there are none."""
    count = last.dead_letters_by_reason.get(DeadLetterReason.UNKNOWN_SCHEMA, 0)
    if not count:
        return ""
    return (
        f"{count} packets are frames that name a schema by its id, and the demo has no such "
        "schema: give it their folder, --schemas FOLDER (make demo SCHEMAS=FOLDER), with "
        "<id>.avsc or, as LSST publishes them, <major>/<minor>/*.alert.avsc"
    )


def _example_command(uri: str, survey: str) -> str:
    """Return a command that shows the first alerts."""
    ids = {"ztf": ["objectId", "candid"]}.get(survey, [])
    columns = [*ids, SURVEYS[survey].record, "kafka_timestamp"]
    code = (
        f"import finkray; d = finkray.open_archive('{uri}').dataset(); "
        f"t = d.to_table(columns={columns}); "
        "print(t.num_rows, 'alerts'); print(t.slice(0, 3).to_pandas())"
    )
    return f'.venv/bin/python -c "{code}"'


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m jobs.commands.demo",
        description="A night from a real Kafka through Ray and Spark to Parquet.",
        epilog="example: python -m jobs.commands.demo --alerts 2000 --archive /tmp/night",
    )
    parser.add_argument(
        "--alerts", type=int, default=10_000, metavar="N", help="number of alerts (10000)"
    )
    parser.add_argument(
        "--data", type=Path, metavar="PATH", help="folder or tar of real packets to play instead"
    )
    parser.add_argument(
        "--schemas", type=Path, metavar="FOLDER", help="schemas of packets in Confluent frames"
    )
    parser.add_argument(
        "--archive",
        type=Path,
        default=Path("archive"),
        metavar="FOLDER",
        help="folder of the archive",
    )
    parser.add_argument("--no-page", action="store_true", help="do not serve the page")
    given = parser.parse_args()
    schemas = None if given.schemas is None else given.schemas.absolute()
    archive = given.archive.absolute()
    options = Options(given.alerts, given.data, archive, schemas, page=not given.no_page)
    console = Console(highlight=False, soft_wrap=True)
    interrupts = Interrupts()
    interrupts.install()
    with tempfile.TemporaryDirectory(prefix="finkray-demo-") as folder:
        try:
            return Demo(options, console, Path(folder), interrupts).run()
        except KeyboardInterrupt:
            console.print("\nInterrupted; everything that was started is stopped.")
            return CommandExit.INTERRUPTED
        except FinkrayError as error:
            console.print(f"The demo failed: {error}", markup=False)
            return CommandExit.NO


if __name__ == "__main__":
    sys.exit(main())
