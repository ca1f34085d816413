"""Judge files with many filters: read columns once, and let a filter that fails rest alone."""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import numpy as np
import pyarrow as pa

from finkray.errors import FilterError
from finkray.results.store import ResultsStore
from finkray.settings.streamout import StreamoutSettings
from finkray.streamout.alerts import AlertReader, PacketSchema, service_columns
from finkray.streamout.batches import (
    FileRows,
    FileVerdicts,
    FilterInput,
    batch_columns,
    join_verdicts,
    next_batch,
    split_verdicts,
)
from finkray.streamout.filter_columns import FilterColumns, find_columns
from finkray.streamout.filter_file import FilterFile
from finkray.streamout.filter_process import FilterPool, Unjudged, limits_of
from finkray.streamout.fink_filter import arguments_of
from finkray.streamout.late import service_name
from finkray.streamout.ledger_files import LedgerFile
from finkray.streamout.verdict import Verdicts

NARROWER: Final = 8
"""A batch at which a process hung or died is tried again in batches of this fraction: from 2000
alerts the one that ends the process is alone after five tries."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class FilterState:
    """How a filter does its work.

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
    excluded
        why it judges an alert no more, by file and row: each ended its process
    last_fault
        why it failed last; empty if it did not
    """

    rest_s: float
    batch_rows: int
    failures: int = 0
    rests_until_s: float = 0.0
    excluded: dict[tuple[str, int], str] = field(default_factory=dict)
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
        self._found: dict[tuple[object, ...], FilterColumns] = {}
        self.pool = FilterPool(limits_of(settings))

    def state(self, name: str) -> FilterState:
        """Return how a filter does its work."""
        settings = self._settings
        return self._states.setdefault(
            name, FilterState(settings.breaker_rest_s, settings.batch_rows)
        )

    def forget(self, name: str) -> None:
        """Forget how a filter did its work: it has another version, or is gone."""
        self._states.pop(name, None)
        self.pool.drop(name)

    def rests(self, name: str) -> bool:
        """Return whether a filter rests after failures."""
        return time.monotonic() < self.state(name).rests_until_s

    def judge(
        self, item: LedgerFile, filters: Sequence[FilterFile], rows: np.ndarray | None = None
    ) -> tuple[dict[str, Verdicts], dict[str, pa.ChunkedArray]]:
        """Judge the alerts of one file, see `judge_files`.

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
            verdicts by filter
        dict
            the records of services that were read, by service
        """
        (judged,) = self.judge_files([(item, filters)], rows)
        return judged.verdicts, judged.answers

    def judge_files(
        self,
        files: Sequence[tuple[LedgerFile, Sequence[FilterFile]]],
        rows: np.ndarray | None = None,
    ) -> list[FileVerdicts]:
        """Judge files one after the other, alerts of several at a time: a batch costs 1 ms.

        Parameters
        ----------
        files
            each with the filters that judge it
        rows
            as in `judge`

        Returns
        -------
        list
            for each file the verdicts. A filter that must wait or rest has none for the file at
            which it stays: its verdicts on those behind do not count
        """
        out = []
        stay: set[str] = set()
        for item, filters in files:
            found = self._prepared(item, [each for each in filters if each.name not in stay], rows)
            stay |= found.waiting
            out.append(found)
        self._judge_batches(out)
        return out

    def _prepared(
        self, item: LedgerFile, filters: Sequence[FilterFile], only: np.ndarray | None
    ) -> FileVerdicts:
        """Read what the filters need of a file; say what needs no filter to be known."""
        file = item.file
        assert file is not None  # noqa: S101 - only files are judged
        out = FileVerdicts(file.path, file.rows)
        schema = self._reader.packet_schema(file.schema_fingerprint)
        if isinstance(schema, str):
            reason = schema
            out.verdicts = {e.name: Verdicts.not_judged(file.rows, reason) for e in filters}
            return out
        filters = [each for each in filters if each.survey in (None, schema.survey)]
        if not filters:
            return out
        has_results: dict[str, bool] = {}
        if only is None:
            out.waiting = {e.name for e in filters if self._lacks_results(e, item, has_results)}
            filters = [each for each in filters if each.name not in out.waiting]
            if not filters:
                return out
        stores = self._stores({name for each in filters for name in services_of(each)})
        found = {each.name: self._columns_of(each, schema, stores) for each in filters}
        alerts = self._reader.columns(file.path, found.values())
        answers = {
            name: self._reader.answers(
                *(store, file.path, alerts, item.own_paths), there=has_results.get(name, False)
            )
            for name, store in stores.items()
        }
        out.answers = answers
        for each in filters:
            rows = self._judgeable(each, answers, file.rows)
            if only is not None:
                rows = np.intersect1d(rows, only)
            elif len(rows) < file.rows and self._may_come(each, item, stores):
                out.waiting.add(each.name)
                continue
            if missing := found[each.name].missing:
                reason = _missing_reason(each, missing)
                out.verdicts[each.name] = Verdicts.not_judged(file.rows, reason)
            else:
                columns = _columns(found[each.name], each, alerts, answers)
                out.inputs[each.name] = FilterInput(each, columns, rows)
        return out

    def _columns_of(
        self, each: FilterFile, schema: PacketSchema, stores: Mapping[str, ResultsStore]
    ) -> FilterColumns:
        """Return where a filter's columns are: to find them takes longer than to read them."""
        services = service_columns({n: s for n, s in stores.items() if n in services_of(each)})
        own = tuple((name, *columns.names) for name, columns in services.items())
        key = (each.name, each.version, schema.text, own)
        if key not in self._found:
            self._found[key] = find_columns(each, schema.columns, services)
        return self._found[key]

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

    def _stores(self, names: Collection[str]) -> dict[str, ResultsStore]:
        """Return the results of services of these names, as far as there are any."""
        found = self._reader.services() if names else {}
        return {name: store for name, store in found.items() if name in names}

    def _lacks_results(
        self, each: FilterFile, item: LedgerFile, has_results: dict[str, bool]
    ) -> bool:
        """Return whether a filter must wait for results, as their names tell without any reading.

        A file that waits is looked at several times a second, so each service's results are looked
        up once for all filters: `has_results` keeps what was found. Results under other names, as
        after a repair, are found when the time to wait is over.
        """
        stores = self._stores({service_name(need) for need in each.needs})
        if not self._may_come(each, item, stores):
            return False
        for name, store in stores.items():
            if name not in has_results:
                has_results[name] = self._reader.has_answers(store, item.own_paths)
        return not all(has_results[name] for name in stores)

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

    def _judge_batches(self, files: Sequence[FileVerdicts]) -> None:
        """Judge batch by batch, all filters at a time; leave out files at which a filter fails."""
        left = self._file_rows(files)
        judged: dict[str, list[tuple[FileRows, Verdicts]]] = {name: [] for name in left}
        ends = dict.fromkeys(left, len(files))
        # One size for all batches: if it grew in between, an alert might never be alone.
        most = {name: self.state(name).batch_rows for name in left}
        while any(left.values()):
            now = {}
            for name, file_rows in left.items():
                if file_rows:
                    now[name], left[name] = next_batch(file_rows, most[name])
            answers = self.pool.judge({name: batch_columns(batch) for name, batch in now.items()})
            for name, batch in now.items():
                paths = [files[each.file].path for each in batch]
                verdicts = self._noted(name, batch, paths, answers[name])
                if verdicts is None:
                    left[name], ends[name] = [], batch[0].file
                else:
                    judged[name] += zip(batch, split_verdicts(verdicts, batch), strict=True)
        for name, end in ends.items():
            for number, file in enumerate(files[:end]):
                if filter_input := file.inputs.get(name):
                    file.verdicts[name] = join_verdicts(
                        (found for found in judged[name] if found[0].file == number),
                        filter_input,
                        file.alerts,
                        excluded=self._excluded(file.path, name),
                        not_read=needs_reason(filter_input.definition.needs),
                    )

    def _file_rows(self, files: Sequence[FileVerdicts]) -> dict[str, list[FileRows]]:
        """Return what each filter is to judge; leave out those that cannot be loaded."""
        found: dict[str, list[FileRows]] = {}
        definitions = {}
        for number, file in enumerate(files):
            for name, filter_input in file.inputs.items():
                excluded = list(self._excluded(file.path, name))
                rows = filter_input.rows
                if excluded:
                    rows = rows[~np.isin(rows, excluded)]
                found.setdefault(name, []).append(FileRows(number, filter_input.columns, rows))
                definitions[name] = filter_input.definition
        return {name: own for name, own in found.items() if self._loaded(definitions[name])}

    def _excluded(self, path: str, name: str) -> dict[int, str]:
        return {r: why for (p, r), why in self.state(name).excluded.items() if p == path}

    def _loaded(self, definition: FilterFile) -> bool:
        try:
            self.pool.load(definition)
        except FilterError as error:
            self._rest(definition.name, str(error))
            return False
        return True

    def _noted(
        self,
        name: str,
        batch: Sequence[FileRows],
        paths: Sequence[str],
        answer: Verdicts | Unjudged,
    ) -> Verdicts | None:
        """Note how a filter did its work; return its verdicts, None if it stays where it is."""
        state = self.state(name)
        if isinstance(answer, Verdicts):
            state.failures = 0
            state.rest_s = self._settings.breaker_rest_s
            state.batch_rows = min(self._settings.batch_rows, state.batch_rows * 2)
            return answer
        state.failures += 1
        rows = sum(len(each.rows) for each in batch)
        if answer.ended:
            if rows == 1:
                state.excluded[paths[0], int(batch[0].rows[0])] = str(answer)
            state.batch_rows = max(1, min(state.batch_rows, rows) // NARROWER)
            self._rest(name, str(answer))
            return None
        state.last_fault = str(answer)
        if state.failures >= self._settings.breaker_failures:
            self._rest(name, str(answer))
            return None
        return Verdicts.not_judged(rows, str(answer))

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
