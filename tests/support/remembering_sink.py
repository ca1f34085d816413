"""A sink that keeps results in memory: it shows what the loop of a service asks of any sink."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from finkray.claim import Claim, ClaimResult
from finkray.errors import ArchiveHeld, Fenced, StorageError
from finkray.results.backlog import ClaimWork
from finkray.results.rows import (
    RowAnswers,
    covered_offsets,
    gaps_between,
    read_keys,
    result_table,
)
from finkray.services.service import Described
from finkray.storage.contract import Storage
from finkray.storage.local import LocalStorage
from tests.support.torn_storage import Killed


@dataclass
class Memory:
    """What survives the death of a process that writes to the sink.

    `steps` counts down with each `stage` and `commit`: at 0 the step fails with a StorageError, or
    kills. `done_first` says whether the commit happened all the same.
    """

    notes: LocalStorage
    results: dict[Claim, ClaimResult] = field(default_factory=dict)
    tables: list[pa.Table] = field(default_factory=list)
    writer: "RememberingSink | None" = None
    steps: int | None = None
    kills: bool = False
    done_first: bool = False

    @contextmanager
    def open(
        self, archive: Storage, name: str, spec: str, about: Described, lease_ttl_s: float
    ) -> Iterator["RememberingSink"]:
        """As `finkray.serving.sink.OpenSink`."""
        del spec, lease_ttl_s
        if self.writer is not None:
            raise ArchiveHeld(f"results are written to {name}/{about.version} already")
        mine = self.writer = RememberingSink(archive, self, about)
        try:
            yield mine
        finally:
            if self.writer is mine:
                self.writer = None

    @property
    def table(self) -> pa.Table:
        """All results, by offset."""
        return pa.concat_tables(self.tables).sort_by("kafka_offset")


class RememberingSink:
    """One opening of a `Memory`."""

    def __init__(self, archive: Storage, memory: Memory, about: Described) -> None:
        self._archive = archive
        self._memory = memory
        self._about = about
        self._staged: dict[Claim, tuple[ClaimResult, list[pa.Table]]] = {}
        self.storage = memory.notes

    @property
    def rows(self) -> int:
        return sum(table.num_rows for table in self._memory.tables)

    def covered(self, claims: Sequence[Claim]) -> dict[Claim, ClaimResult]:
        known = self._memory.results
        return {claim: known[claim] for claim in claims if claim in known}

    def stage(
        self, work: ClaimWork, answers: Mapping[str, Sequence[RowAnswers]]
    ) -> pa.Table | None:
        self._step()
        assert work.claim not in self._staged
        before = work.before
        had = np.zeros(0, np.int64) if before is None else covered_offsets(work.claim, before.gaps)
        files, tables = [], []
        for file in work.files:
            if file.key not in answers:
                continue
            with self._archive.filesystem.open_input_file(file.path) as source:
                keys = read_keys(source)
            keys = keys.slice(file.first_row, file.rows)
            table = result_table(keys, answers[file.key], self._about, datetime.now(UTC))
            table = table.filter(pa.array(~np.isin(table["kafka_offset"].to_numpy(), had)))
            files.append(file)
            tables.append(table)
        if before is not None and not any(tables):
            return None
        new = [table["kafka_offset"].to_numpy() for table in tables]
        result = ClaimResult(
            claim=work.claim,
            files=(*(() if before is None else before.files), *files),
            gaps=gaps_between(work.claim, np.sort(np.concatenate([had, *new]))),
        )
        self._staged[work.claim] = result, tables
        rows = [table.select(["kafka_timestamp", "status"]) for table in tables]
        return pa.concat_tables(rows) if rows else pa.table({})

    def commit(self) -> None:
        self.refuse_if_lost()
        self._step(self._commit if self._memory.done_first else None)
        self._commit()
        self._staged.clear()

    def _commit(self) -> None:
        for claim, (result, tables) in self._staged.items():
            if self._memory.results.get(claim) != result:
                self._memory.results[claim] = result
                self._memory.tables += tables

    def refuse_if_lost(self) -> None:
        if self._memory.writer is not self:
            raise Fenced("another process has taken these results over")

    def _step(self, at_the_end: Callable[[], None] | None = None) -> None:
        memory = self._memory
        strikes = memory.steps == 0
        if memory.steps is not None:
            memory.steps = None if strikes else memory.steps - 1
        if strikes:
            if at_the_end is not None:
                at_the_end()
            raise Killed if memory.kills else StorageError("the sink refuses")
