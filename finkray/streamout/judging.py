"""Judge a file with many filters: read the columns once, and let a filter that fails rest alone."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import numpy as np
import pyarrow as pa

from finkray.errors import FilterError
from finkray.results.store import ResultsStore
from finkray.settings.streamout import StreamoutSettings
from finkray.streamout.alerts import AlertReader, PacketSchema, service_columns
from finkray.streamout.filter_columns import FilterColumns, find_columns
from finkray.streamout.filter_file import FilterFile
from finkray.streamout.filter_process import FilterPool, Unjudged, limits_of
from finkray.streamout.fink_filter import arguments_of
from finkray.streamout.late import service_name
from finkray.streamout.ledger_files import LedgerFile
from finkray.streamout.verdict import NOT_JUDGED, Verdicts

NARROWER: Final = 8
"""A batch at which a process hung or died is tried again in batches of this fraction: from 1000
alerts the one that is guilty is alone after four tries."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class FilterState:
    """How a filter fares.

    Attributes
    ----------
    failures
        consecutive batches without any verdict
    rest_s
        how long it rests after the next failure
    rests_until_s
        on the monotonic clock
    batch_rows
        most alerts that it gets at a time
    guilty
        alerts that ended its process, by file and row: the reason
    last_fault
        why it failed last; empty if it did not
    """

    rest_s: float
    batch_rows: int
    failures: int = 0
    rests_until_s: float = 0.0
    guilty: dict[tuple[str, int], str] = field(default_factory=dict)
    last_fault: str = ""


class Judge:
    """Judges files with the filters of one group.

    Parameters
    ----------
    settings
        limits of filters
    reader
        reads alerts and results
    """

    def __init__(self, settings: StreamoutSettings, reader: AlertReader) -> None:
        self._settings = settings
        self._reader = reader
        self._states: dict[str, FilterState] = {}
        self.pool = FilterPool(limits_of(settings))

    def state(self, name: str) -> FilterState:
        """Return how a filter fares."""
        settings = self._settings
        return self._states.setdefault(
            name, FilterState(settings.breaker_rest_s, settings.batch_rows)
        )

    def forget(self, name: str) -> None:
        """Forget how a filter fared: it has another version, or is gone."""
        self._states.pop(name, None)
        self.pool.drop(name)

    def rests(self, name: str) -> bool:
        """Return whether a filter rests after failures."""
        return time.monotonic() < self.state(name).rests_until_s

    def judge(
        self, item: LedgerFile, filters: Sequence[FilterFile], rows: np.ndarray | None = None
    ) -> tuple[dict[str, Verdicts], dict[str, pa.ChunkedArray]]:
        """Judge the alerts of a file.

        Parameters
        ----------
        item
            the file
        filters
            those that judge it
        rows
            judge these rows only, and wait for nothing: the others count as lacking what is needed

        Returns
        -------
        dict
            verdicts by filter; none of a filter that must wait or rest: it stays at this file
        dict
            the records of services that were read, by service
        """
        file = item.file
        assert file is not None  # noqa: S101 - only files are judged
        schema = self._reader.packet_schema(file.schema_fingerprint)
        if isinstance(schema, str):
            return {each.name: Verdicts.not_judged(file.rows, schema) for each in filters}, {}
        filters = [each for each in filters if each.survey in (None, schema.survey)]
        if not filters:
            return {}, {}
        return self._judge_packets(item, schema, filters, rows)

    def _judge_packets(
        self,
        item: LedgerFile,
        schema: PacketSchema,
        filters: Sequence[FilterFile],
        only: np.ndarray | None,
    ) -> tuple[dict[str, Verdicts], dict[str, pa.ChunkedArray]]:
        file = item.file
        assert file is not None  # noqa: S101 - as above
        wanted = {name for each in filters for name in services_of(each)}
        stores = {n: s for n, s in self._reader.services().items() if n in wanted} if wanted else {}
        found = {
            each.name: find_columns(each, schema.columns, service_columns(stores))
            for each in filters
        }
        alerts = self._reader.columns(file.path, found.values())
        answers = {name: self._reader.answers(s, file.path, alerts) for name, s in stores.items()}
        out: dict[str, Verdicts] = {}
        batches: dict[str, tuple[pa.Table, np.ndarray]] = {}
        for each in filters:
            rows = self._judgeable(each, answers, file.rows)
            if only is not None:
                rows = np.intersect1d(rows, only)
            elif len(rows) < file.rows and self._may_come(each, item, stores):
                continue
            if missing := found[each.name].missing:
                reason = _missing_reason(each, missing)
                out[each.name] = Verdicts.not_judged(file.rows, reason)
            else:
                batches[each.name] = (_columns(found[each.name], each, alerts, answers), rows)
        by_name = {each.name: each for each in filters}
        for name, verdicts in self._judge_batches(file.path, by_name, batches).items():
            out[name] = _with_needs(by_name[name], verdicts, batches[name][1], file.rows)
        return out, answers

    def _judgeable(
        self, each: FilterFile, answers: Mapping[str, pa.ChunkedArray], rows: int
    ) -> np.ndarray:
        """Return the rows that have what a filter needs."""
        has_all = np.ones(rows, np.bool_)
        for need in each.needs:
            name = service_name(need)
            has_all &= (
                answers[name].is_valid().to_numpy() if name in answers else np.zeros(rows, np.bool_)
            )
        return np.flatnonzero(has_all)

    def _may_come(
        self, each: FilterFile, item: LedgerFile, stores: Mapping[str, ResultsStore]
    ) -> bool:
        """Return whether it is too early to do without the results that are missing.

        The time counts from the commit of the file. So while a service is away, the filter is
        `needs_s` behind and no more, and what is missing is judged late.
        """
        if item.committed_at is None or not any(service_name(n) in stores for n in each.needs):
            return False
        age_s = (datetime.now(UTC) - item.committed_at).total_seconds()
        return 0 <= age_s < self._settings.needs_s

    def _judge_batches(
        self,
        path: str,
        filters: Mapping[str, FilterFile],
        batches: Mapping[str, tuple[pa.Table, np.ndarray]],
    ) -> dict[str, Verdicts]:
        """Judge batch by batch, all filters at a time; leave out those that fail."""
        going = {name: list(self._parts(path, name, rows)) for name, (_, rows) in batches.items()}
        found: dict[str, list[tuple[np.ndarray, Verdicts]]] = {name: [] for name in going}
        for name in list(going):
            if not self._loaded(filters[name]):
                del going[name]
        while any(going.values()):
            now = {name: parts.pop(0) for name, parts in going.items() if parts}
            said = self.pool.judge(
                {name: _rows_of(batches[name][0], part) for name, part in now.items()}
            )
            for name, verdicts in said.items():
                if isinstance(verdicts, Unjudged) and not self._note_failure(
                    path, name, now[name], verdicts
                ):
                    del going[name]
                    continue
                if isinstance(verdicts, Unjudged):
                    verdicts = Verdicts.not_judged(len(now[name]), str(verdicts))  # noqa: PLW2901
                else:
                    self._note_success(name)
                found[name].append((now[name], verdicts))
        return {
            name: _joined(
                found[name], len(batches[name][1]), batches[name][1], self._guilty(path, name)
            )
            for name in going
        }

    def _parts(self, path: str, name: str, rows: np.ndarray) -> Iterator[np.ndarray]:
        guilty = self._guilty(path, name)
        rows = rows[~np.isin(rows, list(guilty))] if guilty else rows
        size = self.state(name).batch_rows
        return (rows[start : start + size] for start in range(0, len(rows), size))

    def _guilty(self, path: str, name: str) -> dict[int, str]:
        return {r: why for (p, r), why in self.state(name).guilty.items() if p == path}

    def _loaded(self, definition: FilterFile) -> bool:
        try:
            self.pool.load(definition)
        except FilterError as error:
            self._rest(definition.name, str(error))
            return False
        return True

    def _note_failure(self, path: str, name: str, rows: np.ndarray, unjudged: Unjudged) -> bool:
        """Note a batch without verdicts; return whether the filter goes on with this file."""
        state = self.state(name)
        state.failures += 1
        if unjudged.ended:
            if len(rows) == 1:
                state.guilty[path, int(rows[0])] = str(unjudged)
            state.batch_rows = max(1, min(state.batch_rows, len(rows)) // NARROWER)
            self._rest(name, str(unjudged))
            return False
        state.last_fault = str(unjudged)
        if state.failures >= self._settings.breaker_failures:
            self._rest(name, str(unjudged))
            return False
        return True

    def _note_success(self, name: str) -> None:
        state = self.state(name)
        state.failures = 0
        state.rest_s = self._settings.breaker_rest_s
        state.batch_rows = min(self._settings.batch_rows, state.batch_rows * 2)

    def _rest(self, name: str, why: str) -> None:
        state = self.state(name)
        log.warning("filter %s rests for %.0f s: %s", name, state.rest_s, why)
        state.last_fault = why
        state.rests_until_s = time.monotonic() + state.rest_s
        state.rest_s = min(2 * state.rest_s, self._settings.breaker_longest_rest_s)


def services_of(definition: FilterFile) -> tuple[str, ...]:
    """Return the services that a filter names: that it needs, that it may read, that it sends."""
    prefixes = [name.partition(".")[0] for name in definition.arguments.values() if "." in name]
    return tuple(
        dict.fromkeys([*map(service_name, definition.needs), *prefixes, *definition.sends])
    )


def needs_reason(needs: Sequence[str]) -> str:
    """Return why alerts are not judged for which a service has not looked."""
    return f"needs {', '.join(needs)}"


def _missing_reason(definition: FilterFile, missing: Sequence[str]) -> str:
    """Return why alerts are not judged that lack columns; of Fink all of them, by Fink's names."""
    if definition.language == "fink":
        return f"needs {', '.join(arguments_of(missing))}"
    return f"needs the column {definition.arguments[missing[0]]}"


def _columns(
    found: FilterColumns,
    definition: FilterFile,
    alerts: pa.Table,
    answers: Mapping[str, pa.ChunkedArray],
) -> pa.Table:
    """Return the columns of a filter under the names of its arguments."""
    import pyarrow.compute as pc

    columns = {argument: alerts[name] for argument, name in found.packet.items()}
    for argument, (service, column) in found.services.items():
        columns[argument] = pc.struct_field(answers[service], column)
    return pa.table({argument: columns[argument] for argument in definition.arguments})


def _rows_of(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """Return rows of a table: mostly all of them, without a copy."""
    return table if len(rows) == table.num_rows else table.take(pa.array(rows))


def _joined(
    parts: Sequence[tuple[np.ndarray, Verdicts]],
    count: int,
    rows: np.ndarray,
    guilty: Mapping[int, str],
) -> Verdicts:
    """Return the verdicts of the batches of a file, by row among `rows`, which ascend."""
    codes = np.full(count, NOT_JUDGED, np.uint8)
    reasons: dict[str, list[int]] = {}
    for part_rows, verdicts in parts:
        places = np.searchsorted(rows, part_rows)
        codes[places] = verdicts.codes
        for reason, hurt in verdicts.reasons.items():
            reasons.setdefault(reason, []).extend(places[hurt].tolist())
    for row, reason in guilty.items():
        place = int(np.searchsorted(rows, row))
        if place < len(rows) and rows[place] == row:
            reasons.setdefault(reason, []).append(place)
    return Verdicts(codes, reasons)


def _with_needs(
    definition: FilterFile, verdicts: Verdicts, rows: np.ndarray, count: int
) -> Verdicts:
    """Return verdicts for all alerts of a file: those without what is needed are not judged."""
    if len(rows) == count:
        return verdicts
    codes = np.full(count, NOT_JUDGED, np.uint8)
    codes[rows] = verdicts.codes
    reasons = {why: [int(rows[r]) for r in hurt] for why, hurt in verdicts.reasons.items()}
    lacking = sorted(set(range(count)) - set(rows.tolist()))
    reasons[needs_reason(definition.needs)] = lacking
    return Verdicts(codes, reasons)
