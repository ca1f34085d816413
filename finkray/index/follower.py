"""Keep the object index in step with the ledger: add new files as runs, and merge runs.

    read the newest step ── read new files ── write a run ── create the next step (exclusively)

A follower keeps nothing between two steps, so it may be killed at any moment, and several may run
at once: of those that take the same step one wins, and the work of the others is deleted.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from finkray.errors import StorageError
from finkray.index.alert_rows import AlertRows, DamagedFile, read_alert_rows
from finkray.index.manifest import Anchor, Manifest, Run, create_step, read_manifest, sweep
from finkray.index.pending import Pending, entries_after
from finkray.index.run import OpenRun, merged, tables_of, write_run
from finkray.ledger.entry import Entry
from finkray.ledger.follow import is_published, new_files
from finkray.storage.contract import Storage

STEP_ALERTS: Final = 250_000
"""A run of new files ends with the entry that reaches it: memory and lost work are bounded."""

STEP_FILES: Final = 2_000

FAN_OUT: Final = 8
"""Number of runs that are merged into one of the next level: an alert is written once a level."""

MERGED_ALERTS: Final = 4_000_000
"""A merge makes no larger run, because it holds its runs in memory, some 150 bytes an alert."""

log = logging.getLogger(__name__)


class IndexFollower:
    """Writes the object index of an archive.

    Parameters
    ----------
    storage
        of the archive
    step_alerts, step_files, fan_out, merged_alerts
        as the constants of the module
    now
        returns the time, UTC
    """

    def __init__(
        self,
        storage: Storage,
        *,
        step_alerts: int = STEP_ALERTS,
        step_files: int = STEP_FILES,
        fan_out: int = FAN_OUT,
        merged_alerts: int = MERGED_ALERTS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._storage = storage
        self._step_alerts = step_alerts
        self._step_files = step_files
        self._fan_out = fan_out
        self._merged_alerts = merged_alerts
        self._now = now

    def catch_up(self, go_on: Callable[[Manifest], bool] = lambda _: True) -> int:
        """Index all that is new, and merge; return the number of files.

        Parameters
        ----------
        go_on
            called after each step with the index as it is then; False ends the work

        Raises
        ------
        StorageError
            if the storage refuses; the next call continues
        LedgerCorrupt
            if an entry is missing or unreadable
        """
        files = 0
        while True:
            added = self.add_new()
            merged_runs = self.merge()
            files += added
            if not (added or merged_runs) or not go_on(read_manifest(self._storage)):
                return files

    def add_new(self) -> int:
        """Take one step over new entries of the ledger; return the number of their files."""
        manifest = read_manifest(self._storage)
        entries = entries_after(self._storage, manifest)
        if entries is None:
            log.warning("the object index in %s is of another ledger; making it again",
                        self._storage.uri)  # fmt: skip
            manifest = replace(
                manifest.retire(manifest.runs, self._now()),
                anchor=None,
                next_file=0,
                void=(),
                skipped=(),
            )
            entries = entries_after(self._storage, manifest)
        pending = self._published(list(self._limited(entries)) if entries else [])
        if pending.last is None or not (pending.files or pending.replaced):
            return 0
        return len(pending.files) if self._add(manifest, pending) else 0

    def merge(self) -> int:
        """Merge the newest runs if there are enough of one level; return how many."""
        manifest = read_manifest(self._storage)
        runs = self._mergeable(manifest.runs)
        if not runs:
            return 0
        first, end = runs[0].first_file, runs[-1].end_file
        void = [number for number in manifest.void if first <= number < end]
        try:
            tables = merged(self._storage, runs, void)
        except FileNotFoundError:
            return 0  # another follower merged them, and they are deleted
        run = write_run(
            self._storage,
            tables,
            manifest.number + 1,
            level=max(each.level for each in runs) + 1,
            seqs=(runs[0].first_seq, runs[-1].last_seq),
            file_range=(first, end),
        )
        at = manifest.runs.index(runs[0])
        after = manifest.retire(runs, self._now())
        after = replace(
            after,
            number=manifest.number + 1,
            runs=(*after.runs[:at], run, *after.runs[at:]),
            void=tuple(number for number in manifest.void if number not in void),
        )
        won = create_step(self._storage, after)
        sweep(self._storage)
        return len(runs) if won else 0

    def _limited(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        alerts = files = 0
        for entry in entries:
            yield entry
            new = new_files(entry)
            files += len(new)
            alerts += sum(file.rows for _, file in new)
            if alerts >= self._step_alerts or files >= self._step_files:
                return

    def _published(self, entries: list[Entry]) -> Pending:
        """Return the sum of entries up to the first whose files are not all published."""
        through = max((entry.published_through for entry in entries), default=-1)
        pending = Pending()
        for entry in entries:
            if entry.seq > through and not self._is_published(entry):
                break
            pending.add(entry)
        return pending

    def _is_published(self, entry: Entry) -> bool:
        paths = (file.path for _, file in new_files(entry))
        there = all(self._storage.size_bytes(path) is not None for path in paths)
        return there or is_published(self._storage, entry)

    def _add(self, manifest: Manifest, pending: Pending) -> bool:
        rows, skipped = self._read(pending)
        number = manifest.number + 1
        void = self._numbers(manifest.runs, pending.replaced)
        runs = manifest.runs
        if rows:
            first = manifest.next_file
            run = write_run(
                self._storage,
                tables_of(rows, first),
                number,
                level=0,
                seqs=(manifest.next_seq, _seq(pending)),
                file_range=(first, first + len(rows)),
            )
            runs = (*runs, run)
        kept = (path for path in manifest.skipped if path not in pending.replaced)
        after = replace(
            manifest,
            number=number,
            anchor=None if pending.last is None else Anchor.of(pending.last),
            next_file=manifest.next_file + len(rows),
            runs=runs,
            void=(*manifest.void, *(each for each in void if each not in manifest.void)),
            skipped=tuple(dict.fromkeys([*kept, *skipped])),
        )
        won = create_step(self._storage, after)
        if not won:
            sweep(self._storage)
        return won

    def _read(self, pending: Pending) -> tuple[dict[str, AlertRows], list[str]]:
        rows: dict[str, AlertRows] = {}
        skipped = []
        for path in pending.files:
            try:
                rows[path] = read_alert_rows(self._storage, path)
            except FileNotFoundError:
                log.warning("%s is missing from the archive, see `finkray audit`", path)
                skipped.append(path)
            except DamagedFile as error:
                log.warning("%s; it is not indexed, see `finkray audit --deep`", error)
                skipped.append(path)
            except OSError as error:
                raise StorageError(f"{path} cannot be read: {error}") from error
        return rows, skipped

    def _numbers(self, runs: tuple[Run, ...], paths: set[str]) -> list[int]:
        """Return the numbers of files that the ledger has replaced. Revisions are rare."""
        if not paths:
            return []
        try:
            return [n for run in runs for n in OpenRun(self._storage, run).numbers(paths)]
        except FileNotFoundError as error:
            raise StorageError(
                f"a run of the object index vanished ({error}): try again"
            ) from error

    def _mergeable(self, runs: tuple[Run, ...]) -> tuple[Run, ...]:
        """Return runs that follow each other, of one level or lower ones, enough for a merge."""
        for level in sorted({run.level for run in runs}):
            begin = len(runs)
            alerts = 0
            while begin and runs[begin - 1].level <= level:
                alerts += runs[begin - 1].alerts
                if alerts > self._merged_alerts:
                    break
                begin -= 1
            if len(runs) - begin >= self._fan_out:
                return runs[begin:]
        return ()


def _seq(pending: Pending) -> int:
    return -1 if pending.last is None else pending.last.seq
