"""Judge archived alerts with a filter, and send nothing: what it would have done."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from finkray.claim import DataFile
from finkray.errors import FilterError
from finkray.ledger.follow import Position, new_files
from finkray.ledger.read import read_entries
from finkray.services.columns import read_columns
from finkray.settings.streamout import StreamoutSettings
from finkray.storage.contract import Storage
from finkray.storage.dataset import select_files
from finkray.storage.hours import Span
from finkray.streamout.alerts import AlertReader
from finkray.streamout.filter_file import FilterFile
from finkray.streamout.judging import Judge
from finkray.streamout.ledger_files import LedgerFile, end_of_ledger
from finkray.streamout.published import FilterStore
from finkray.streamout.publishing import check_filter
from finkray.streamout.verdict import PASSED, Fault, Verdicts
from finkray.streamout.wire import object_ids

RECENT_FILES: Final = 20
RECENT_ALERTS: Final = 2000
"""How many of the last files and alerts are judged when a filter is checked."""

EXAMPLES: Final = 10
"""Objects that passed which are shown."""


@dataclass(slots=True)
class Trial:
    """The verdicts of a filter on archived alerts, in numbers.

    Attributes
    ----------
    name
        of the filter
    alerts, passed
        numbers of alerts
    not_judged
        numbers by reason
    by_night
        for each observing night the alerts, and those that passed
    overlap
        for each published filter that judged them, how many of the alerts that passed pass it too
    examples
        objects of which alerts passed
    seconds
        how long the filter's process took
    """

    name: str
    alerts: int = 0
    passed: int = 0
    not_judged: Counter[str] = field(default_factory=Counter)
    by_night: dict[str, tuple[int, int]] = field(default_factory=dict)
    overlap: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def share(self) -> float:
        """Share of the alerts that passed."""
        return self.passed / max(1, self.alerts)

    @property
    def alerts_per_s(self) -> float:
        """Alerts a second on one core, with reading."""
        return self.alerts / max(1e-9, self.seconds)

    @property
    def failed(self) -> str:
        """Why the filter itself judged no alert; empty if it judged some, or lacks results."""
        failures = [each for each in self.not_judged if each.partition(":")[0] in get_args(Fault)]
        none_judged = self.not_judged.total() == self.alerts
        return failures[0] if failures and none_judged else ""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "filter": self.name,
            "alerts": self.alerts,
            "passed": self.passed,
            "share": self.share,
            "not_judged": dict(self.not_judged),
            "by_night": {
                night: {"alerts": alerts, "passed": passed}
                for night, (alerts, passed) in sorted(self.by_night.items())
            },
            "overlap": dict(self.overlap),
            "examples": self.examples,
            "alerts_per_s": self.alerts_per_s,
        }


def try_filter(
    archive: Storage,
    settings: StreamoutSettings,
    path: Path,
    span: Span,
    *,
    tell: Callable[[str], None],
    stopping: threading.Event,
) -> Trial:
    """Judge the alerts of some hours, or until `stopping` is set.

    Raises
    ------
    FilterError
        if anything is wrong with the filter, or its process fails again and again
    """
    reader = AlertReader(archive)
    judge = Judge(settings, reader)
    try:
        definition = check_filter(archive, judge.pool, path)
        trial = Trial(definition.name)
        published = [
            each.definition
            for each in FilterStore(archive).all()
            if each.state != "retired" and each.name != definition.name
        ]
        files, _ = select_files(archive, span, None)
        for number, file in enumerate(files, start=1):
            if stopping.is_set():
                break
            _try_file(archive, judge, definition, file.path, trial, published=published)
            tell(f"file {number} of {len(files)}: {trial.alerts:,} alerts, {trial.passed:,} passed")
        return trial
    finally:
        judge.pool.close()


def try_recent(archive: Storage, judge: Judge, definition: FilterFile) -> Trial:
    """Judge the alerts that were archived last, some files of them.

    Raises
    ------
    FilterError
        if the filter fails at them
    """
    trial = Trial(definition.name)
    last = end_of_ledger(archive).seq - 1
    entries = list(read_entries(archive, max(-1, last - RECENT_FILES)))
    files = [file for entry in entries for _, file in new_files(entry)]
    for file in reversed(files[-RECENT_FILES:]):
        if trial.alerts < RECENT_ALERTS and archive.size_bytes(file.path) is not None:
            _try_file(archive, judge, definition, file.path, trial)
    return trial


def archived_file(archive: Storage, path: str) -> LedgerFile:
    """Return a file of alerts of the archive, to be judged.

    It has no time of its commit, so nothing waits for results that a filter needs.
    """
    with archive.open(path) as source, pq.ParquetFile(source) as parquet:
        rows = parquet.metadata.num_rows
        table = parquet.read(columns=["schema_fingerprint"], use_threads=False).slice(0, 1)
    fingerprint = table["schema_fingerprint"][0].as_py()
    file = DataFile(path, rows, 0, 0, 0, schema_fingerprint=fingerprint)
    return LedgerFile(Position(), "", file, (path,))


def judge_once(
    judge: Judge, reader: AlertReader, item: LedgerFile, definition: FilterFile
) -> tuple[Verdicts | None, dict[str, pa.ChunkedArray]]:
    """Return verdicts for a file and the services' records; None for another survey's alerts.

    Raises
    ------
    FilterError
        if the filter fails at the file
    """
    verdicts, answers = judge.judge(item, [definition])
    if definition.name in verdicts:
        return verdicts[definition.name], answers
    schema = reader.packet_schema(item.file.schema_fingerprint if item.file else None)
    if isinstance(schema, str) or definition.survey in (None, schema.survey):
        state = judge.state(definition.name)
        raise FilterError(f"filter {definition.name}: {state.last_fault}")
    return None, {}


def _try_file(
    archive: Storage,
    judge: Judge,
    definition: FilterFile,
    path: str,
    trial: Trial,
    *,
    published: Sequence[FilterFile] = (),
) -> None:
    reader = AlertReader(archive)
    item = archived_file(archive, path)
    begun_s = time.perf_counter()
    verdicts, _ = judge_once(judge, reader, item, definition)
    if verdicts is None:
        return
    trial.seconds += time.perf_counter() - begun_s
    trial.alerts += len(verdicts.codes)
    trial.passed += verdicts.count(PASSED)
    trial.not_judged += verdicts.counts_by_reason()
    if published:
        _count_overlap(judge.judge(item, published)[0], verdicts, trial)
    with archive.open(path) as source:
        nights = read_columns(source, ["obs_night"])
    _count_nights(nights, verdicts.passed.tolist(), trial)
    if len(trial.examples) < EXAMPLES and verdicts.count(PASSED):
        rows = verdicts.passed[: EXAMPLES - len(trial.examples)]
        alerts = reader.passed(path, [], rows)
        names = [name.decode() for name in object_ids(reader.object_columns(alerts))]
        trial.examples += [name for name in dict.fromkeys(names) if name not in trial.examples]


def _count_overlap(others: Mapping[str, Verdicts], verdicts: Verdicts, trial: Trial) -> None:
    for name, other in others.items():
        both = (other.codes == PASSED) & (verdicts.codes == PASSED)
        trial.overlap[name] += int(np.count_nonzero(both))


def _count_nights(table: pa.Table, passed: list[int], trial: Trial) -> None:
    nights = [str(night) for night in table["obs_night"].to_pylist()]
    counts, counts_passed = Counter(nights), Counter(nights[row] for row in passed)
    for night, alerts in counts.items():
        before = trial.by_night.get(night, (0, 0))
        trial.by_night[night] = (before[0] + alerts, before[1] + counts_passed[night])
