"""Follow the archive, judge its alerts, and send what passes, each alert once.

    for each group of filters at the same position of the ledger, the furthest first:
        read and judge files                     filters in processes of their own
        one transaction: messages, progress      visible to readers as a whole or not at all

    for late files for which a service has answered:
        one transaction: amendments, what is judged late, progress

Filters that are at the same position share all reading. One that hangs, dies or fails stays behind
alone, rests, and catches up later from its own position. Nothing local is kept: a new process
fences the old one, reads the progress from Kafka and goes on.
"""

import logging
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from finkray.errors import ProducerFenced
from finkray.ledger.follow import Position
from finkray.settings.streamout import StreamoutSettings
from finkray.status.streamout import FilterStatus
from finkray.storage.contract import Storage
from finkray.streamout.alerts import AlertReader
from finkray.streamout.amending import Amender, LateAnswers, lapse, lapsed
from finkray.streamout.answer_watch import AnswerWatch
from finkray.streamout.batches import FileVerdicts
from finkray.streamout.figures import SentWindow
from finkray.streamout.judging import Judge
from finkray.streamout.late import LateFile
from finkray.streamout.ledger_files import STEP_ALERTS, LedgerFile, files_from, some_files
from finkray.streamout.messages import JudgedFile, MessageMaker, runs
from finkray.streamout.progress import Progress
from finkray.streamout.published import FilterStore, PublishedFilter
from finkray.streamout.reporting import filter_statuses
from finkray.streamout.sender import Sender
from finkray.streamout.sending import Sent, late_file, send_files
from finkray.streamout.verdict import NAMED_ALERTS, NOT_PASSED, PASSED, Verdicts

TRANSACTION_BYTES: Final = 16 * 2**20
"""A transaction ends with the file that reaches it: it must be written well within
`transaction.timeout.ms`, and readers see nothing of it before."""

STEP_LATE_FILES: Final = 20
"""Most late files of a step: each is read again, and new alerts wait meanwhile."""

LAPSES_S: Final = 60.0
"""Interval between two looks for alerts that have waited for too long."""

log = logging.getLogger(__name__)


class Streamout:
    """One instance of streaming out.

    Parameters
    ----------
    archive
        the archive
    config
        librdkafka's properties of the clients that write, secrets included
    settings
        of streaming out

    Attributes
    ----------
    waits
        whether the last step found files whose results a filter waits for
    unreadable
        published filters that the last step could not read, by name: what is wrong with them

    Raises
    ------
    KafkaUnavailable
        if Kafka does not answer
    """

    def __init__(
        self, archive: Storage, config: Mapping[str, Any], settings: StreamoutSettings
    ) -> None:
        self._archive = archive
        self._config = config
        self._settings = settings
        self._store = FilterStore(archive)
        self._reader = AlertReader(archive)
        self._judge = Judge(settings, self._reader)
        self._maker = MessageMaker(self._reader)
        self._amender = Amender(self._reader, self._judge, self._maker, settings.quota_per_h)
        self._watch = AnswerWatch(self._reader)
        self._window = SentWindow()
        self._lapses_s = 0.0
        self.waits = False
        self.unreadable: Mapping[str, str] = {}
        self._owner = uuid.uuid4().hex
        self._open_sender(goes_on=False)

    @property
    def progress(self) -> Mapping[str, Progress]:
        """The progress of each filter that ever ran, by name."""
        return self._progress

    def faults(self) -> dict[str, str]:
        """Return why filters rest that rest now, by name."""
        return {
            name: self._judge.state(name).last_fault
            for name in self._progress
            if self._judge.rests(name)
        }

    def statuses(self) -> tuple[FilterStatus, ...]:
        """Return what each published filter judged and sent."""
        return filter_statuses(
            self._archive, self._store.readable()[0], self._progress, self._window, self.faults()
        )

    def step(self) -> bool:
        """Advance each group of filters by some files; return whether there was anything to do.

        Raises
        ------
        ProducerFenced
            if a newer process has the name of this instance: end
        FinkrayError
            if Kafka or the storage refuses; the next call goes on
        """
        if self._sender is None:
            self._open_sender(goes_on=True)
        filters, self.unreadable = self._store.readable()
        self.waits = False
        advanced = [self._advance(group) for group in self._groups(filters)]
        advanced.append(self._amend(filters))
        self._write_faults()
        return any(advanced)

    def close(self) -> None:
        """End the filters' processes and leave Kafka."""
        self._judge.pool.close()
        if self._sender is not None:
            self._sender.close()

    def _open_sender(self, *, goes_on: bool) -> None:
        """Fence older processes, and take what is committed."""
        self._sender: Sender | None = Sender(
            self._config, self._settings, self._owner, goes_on=goes_on
        )
        self._progress = dict(self._sender.out_ledger.progress)
        self._late = self._sender.out_ledger.late

    def _groups(self, filters: Sequence[PublishedFilter]) -> list[list[PublishedFilter]]:
        """Return the filters that run now, those at one position together, the furthest first."""
        groups: dict[Position, list[PublishedFilter]] = {}
        for published in filters:
            progress = self._progress_of(published)
            if progress.version != published.definition.version:
                self._judge.forget(published.name)
                progress.version = published.definition.version
            if published.state != "active":
                self._judge.pool.drop(published.name)
            elif not self._judge.rests(published.name):
                groups.setdefault(Position.from_cursor(progress.cursor), []).append(published)
        positions = sorted(groups, key=lambda at: (at.seq, at.files), reverse=True)
        return [groups[position] for position in positions]

    def _progress_of(self, published: PublishedFilter) -> Progress:
        name, version, begin = published.name, published.definition.version, published.cursor
        return self._progress.setdefault(name, Progress(name, version, begin, cursor=begin))

    def _write_faults(self) -> None:
        """Write why filters rest, where that has changed: it is seen wherever Kafka is."""
        faults = self.faults()
        changed = {
            name: progress.copy()
            for name, progress in self._progress.items()
            if progress.fault != faults.get(name, "")
        }
        if not changed:
            return
        for name, progress in changed.items():
            progress.fault = faults.get(name, "")
        with self._transaction() as sender:
            for progress in changed.values():
                sender.write_progress(progress)
        self._progress |= changed

    @contextmanager
    def _transaction(self) -> Iterator[Sender]:
        """Begin a transaction; after one that was aborted the next one has a new sender."""
        sender = self._sender
        assert sender is not None  # noqa: S101 - `step` makes it
        try:
            with sender.transaction():
                yield sender
        except BaseException as error:
            # What the sender knows may be of the aborted transaction: schemas, and the fence.
            sender.close()
            self._sender = None
            if not isinstance(error, ProducerFenced):
                log.warning("streaming out aborted a transaction, will retry: %s", error)
            raise

    def _advance(self, group: Sequence[PublishedFilter]) -> bool:
        first = self._progress[group[0].name]
        files = files_from(self._archive, Position.from_cursor(first.cursor), first.mark)
        judged = self._judged(list(some_files(files)), group)
        advances = bool(judged)
        while judged:
            judged = self._send(judged, group)
        return advances

    def _judged(
        self, items: Sequence[LedgerFile], group: Sequence[PublishedFilter]
    ) -> list[JudgedFile]:
        """Judge files up to the first at which all filters stay.

        Filters that have nothing to judge in a file have no rows.
        """
        empty = Verdicts.not_judged(0, "")
        empty.reasons.clear()
        wanting = [
            {each.name: each.definition for each in group if self._wants(item, each)}
            for item in items
        ]
        work = [
            (item, list(filters.values()))
            for item, filters in zip(items, wanting, strict=True)
            if filters
        ]
        judged = iter(self._judge.judge_files(work))
        going = list(group)
        out = []
        for item, filters in zip(items, wanting, strict=True):
            file = next(judged) if filters else FileVerdicts("", 0)
            self.waits |= bool(file.waiting)
            verdicts = {}
            for each in going:
                if each.name not in filters or self._is_others(item, each):
                    verdicts[each.name] = empty
                elif each.name in file.verdicts:
                    verdicts[each.name] = file.verdicts[each.name]
            going = [each for each in going if each.name in verdicts]
            if not going:
                break
            out.append(JudgedFile(item, verdicts, file.answers))
        return out

    def _is_others(self, item: LedgerFile, published: PublishedFilter) -> bool:
        """Return whether the alerts of a file are of another survey than a filter's."""
        schema = self._reader.packet_schema(item.file.schema_fingerprint if item.file else None)
        survey = published.definition.survey
        return not isinstance(schema, str) and survey not in (None, schema.survey)

    def _wants(self, item: LedgerFile, published: PublishedFilter) -> bool:
        """Return whether a filter has not judged a file: a repaired one it mostly has."""
        if item.file is None or not item.exists:
            return False
        missing = self._progress[published.name].missing
        return not item.repaired or any(claim in missing for claim in item.claims)

    def _send(
        self, judged: Sequence[JudgedFile], group: Sequence[PublishedFilter]
    ) -> list[JudgedFile]:
        """Send the first files in one transaction; return the others."""
        after = {
            each.name: self._progress[each.name].copy()
            for each in group
            if each.name in judged[0].verdicts
        }
        if not any(found.item.rows for found in judged):
            for found in judged:
                self._move(after, found)
            self._progress |= after
            return []
        sent: list[Sent] = []
        late: list[LateFile] = []
        with self._transaction() as sender:
            for run in runs(judged):
                sent += self._send_run(sender, run, group, after, late)
                if sum(each.size_bytes for each in sent) >= TRANSACTION_BYTES:
                    break
            for progress in after.values():
                sender.write_progress(progress)
        self._note_sent(judged, sent, after)
        self._progress |= after
        self._late.update(late)
        return list(judged[len(sent) :])

    def _note_sent(
        self, judged: Sequence[JudgedFile], sent: Sequence[Sent], after: Mapping[str, Progress]
    ) -> None:
        """Note for the figures what was committed."""
        sent_at = datetime.now(UTC)
        for found, each in zip(judged, sent, strict=False):  # a transaction may end before the last
            counts = {name: len(rows) for name, rows in each.rows.items()}
            self._window.add(counts, found.item.committed_at, sent_at)
        for name, progress in after.items():
            before = self._progress[name].refused.total()
            self._window.add_refused(name, progress.refused.total() - before)

    def _send_run(
        self,
        sender: Sender,
        run: Sequence[JudgedFile],
        group: Sequence[PublishedFilter],
        after: Mapping[str, Progress],
        late: list[LateFile],
    ) -> list[Sent]:
        """Send what passed of files, and count it; add what waits to `late`."""
        filters = [each for each in group if each.name in run[0].verdicts]
        quota = self._settings.quota_per_h
        sent = send_files(sender, self._maker, run, filters, after, quota_per_h=quota)
        for found, own in zip(run, sent, strict=True):
            for each in filters:
                waiting = late_file(found, each, own.rows[each.name])
                if waiting is not None:
                    after[each.name].incomplete += len(waiting.awaiting)
                    after[each.name].awaiting += len(waiting.awaiting)
                    sender.write_late(waiting)
                    late.append(waiting)
            self._move(after, found)
        return sent

    def _amend(self, filters: Sequence[PublishedFilter]) -> bool:
        """Send what services answered late; return whether anything was sent or counted."""
        by_name = {each.name: each for each in filters}
        lapsing = self._lapsing(by_name)
        gone = {late.key for late in lapsing}
        due = [
            late
            for late in self._watch.due(self._late)
            if late.filter in by_name
            and by_name[late.filter].state == "active"
            and not self._judge.rests(late.filter)
            and late.key not in gone
        ][:STEP_LATE_FILES]
        found: list[LateAnswers] = []
        for late in due:
            answers = self._amender.look(late, by_name[late.filter])
            if answers is not None and answers.has_any:
                found.append(answers)
            elif answers is not None:
                self._watch.looked(late)
        if not found and not lapsing:
            return bool(due)
        names = {each.late.filter for each in found} | {late.filter for late in lapsing}
        after = {name: self._progress[name].copy() for name in names}
        left: list[LateFile] = []
        with self._transaction() as sender:
            for answers in found:
                name = answers.late.filter
                left.append(self._amender.send(answers, by_name[name], sender, after[name])[0])
            left += [lapse(late, sender, after[late.filter]) for late in lapsing]
            for progress in after.values():
                sender.write_progress(progress)
        self._progress |= after
        self._late.update(left)
        for answers in found:
            self._watch.looked(answers.late)
        return True

    def _lapsing(self, filters: Mapping[str, PublishedFilter]) -> list[LateFile]:
        """Return late files that are waited for no longer, of a step at most; look now and then."""
        if time.monotonic() < self._lapses_s:
            return []
        before = datetime.now(UTC) - timedelta(seconds=self._settings.late_s)
        late = (each for each in self._late if each.filter not in self.unreadable)
        found = lapsed(late, filters, before)
        if len(found) <= STEP_ALERTS:
            self._lapses_s = time.monotonic() + min(LAPSES_S, self._settings.late_s)
        return found[:STEP_ALERTS]

    def _move(self, after: Mapping[str, Progress], found: JudgedFile) -> None:
        """Count the verdicts of a file, and move the filters behind it."""
        item = found.item
        for name, verdicts in found.verdicts.items():
            progress = after[name]
            progress.cursor = found.after.to_cursor()
            progress.mark = item.mark
            progress.at = datetime.now(UTC)
            if item.file is not None and not item.exists:
                log.warning("%s is missing from the archive, see `finkray audit`", item.file.path)
                progress.missing.extend(item.claims)
                continue
            progress.missing = [each for each in progress.missing if each not in item.claims]
            progress.alerts += len(verdicts.codes)
            progress.passed += verdicts.count(PASSED)
            progress.not_passed += verdicts.count(NOT_PASSED)
            for reason, rows in verdicts.reasons.items():
                names = [f"{item.claims[0]} row {row}" for row in rows[:NAMED_ALERTS]]
                progress.count_not_judged(reason, len(rows), names)
