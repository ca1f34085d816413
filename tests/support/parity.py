"""A service that classifies alerts, and helpers that archive and classify alerts with it."""

from datetime import date, datetime

import pyarrow as pa

import finkray
from actors.classes import CHECKED
from finkray.results.backlog import AlertSelection, Backlog
from finkray.results.rows import RowAnswers
from finkray.results.store import ResultsStore, find_store
from finkray.results.writer import open_store
from finkray.services.columns import read_columns
from finkray.services.service import describe
from finkray.storage.contract import Storage
from tests.support.small_archives import NIGHT, SmallArchive

FIRST, SECOND = date(2026, 11, 23), date(2026, 11, 24)
"""Observing nights."""


class Parity(finkray.Service):
    """Classify alerts as odd or even by their offset; one that ends in 9 gets no class."""

    name = "parity"
    version = "1"
    columns = ("kafka_offset",)
    output = pa.schema([("class", pa.string()), ("rule", pa.string()), ("checked", CHECKED)])

    def process(self, alerts: pa.Table) -> pa.Table:
        offsets = alerts["kafka_offset"].to_pylist()
        sky = {"catalog": "sky", "version": "1", "reason": None}
        return pa.table(
            {
                "class": [None if n % 10 == 9 else ("even", "odd")[n % 2] for n in offsets],
                "rule": [f"{n} by 2" for n in offsets],
                "checked": [
                    None if n % 10 == 9 else [{**sky, "status": ("match", "none")[n % 2]}]
                    for n in offsets
                ],
            },
            schema=self.output,
        )


def put_night(
    small: SmallArchive, first: int, night: date | None, begins: datetime = NIGHT
) -> None:
    """Archive ten alerts of a night and classify them; their ids repeat after 20."""
    ids = pa.array([1000 + n % 20 for n in range(first, first + 10)], pa.int64())
    more = {"obs_night": pa.array([night] * 10, pa.date32()), "candid": ids}
    small.put(first, first + 9, begins=begins, more=more)
    classify_all(small)


def classify_all(small: SmallArchive, service: finkray.Service | None = None) -> None:
    """Run a service, by default `Parity`, on all alerts without a result, and commit."""
    run_service(small.storage, service or Parity())


def run_service(storage: Storage, service: finkray.Service, after_seq: int = -1) -> None:
    """Run a service in this process on all alerts of an archive without a result, and commit.

    With `after_seq` these are the alerts of later entries of the ledger.
    """
    about = describe(service)
    with open_store(storage, str(about.name), "tests:Parity", about, 30.0) as writer:
        everything = AlertSelection(from_seq=after_seq + 1)
        backlog = Backlog(storage, writer.storage, writer.covered, everything, whole=False)
        for work in backlog.more(100):
            answers: dict[str, list[RowAnswers]] = {}
            for file in work.files:
                with storage.open(file.path) as source:
                    alerts = read_columns(source, about.columns)
                table = service.process(alerts)
                row = RowAnswers(0, table, ["ok"] * len(alerts), [None] * len(alerts))
                answers[file.path] = [row]
            writer.stage(work, answers)
            writer.commit()


def parity_store(small: SmallArchive) -> ResultsStore:
    """Find the results of `Parity`."""
    return find_store(small.storage, "parity")
