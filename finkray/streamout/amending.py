"""Look at late files: what services have answered since, and what is to be sent of it.

row was sent without an answer     -> amendment, with all answers that there are now
row was not judged for want of it  -> judged now; if it passes it is sent, as the first message
no answer within `late_s`          -> the row lapses: it stays as it is
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from finkray.streamout.alerts import AlertReader
from finkray.streamout.judging import Judge, needs_reason, services_of
from finkray.streamout.late import LateFile, rows_of, service_name
from finkray.streamout.messages import JudgedFile, MessageMaker
from finkray.streamout.progress import Progress
from finkray.streamout.published import PublishedFilter
from finkray.streamout.sender import Sender
from finkray.streamout.sending import lacking_rows, send_files, send_messages
from finkray.streamout.verdict import NAMED_ALERTS, NOT_JUDGED, NOT_PASSED, PASSED, Verdicts


@dataclass(frozen=True, slots=True)
class LateAnswers:
    """What services have answered for a late file.

    Attributes
    ----------
    late
        the late file before
    lacking
        for each service, the rows that were sent and still lack its answer
    amended
        the rows for which an amendment is due, as passed
    judged
        the rows that were judged now; None if there are none
    judged_rows
        those rows
    """

    late: LateFile
    lacking: Mapping[str, np.ndarray]
    amended: JudgedFile
    judged: JudgedFile | None
    judged_rows: np.ndarray

    @property
    def has_any(self) -> bool:
        """Whether there is anything to send or to count."""
        return bool(len(self.amended.verdicts[self.late.filter].passed) or len(self.judged_rows))


class Amender:
    """Looks at late files, and sends what services answered late.

    Parameters
    ----------
    reader
        reads alerts and results
    judge
        judges alerts that could not be judged before
    maker
        makes messages
    quota_per_h
        of filters without a quota of their own; amendments do not count
    """

    def __init__(
        self, reader: AlertReader, judge: Judge, maker: MessageMaker, quota_per_h: int
    ) -> None:
        self._quota_per_h = quota_per_h
        self._reader = reader
        self._judge = judge
        self._maker = maker

    def look(self, late: LateFile, published: PublishedFilter) -> LateAnswers | None:
        """Return what services have answered; None if the filter that must judge it rests."""
        name, definition = late.filter, published.definition
        if not self._reader.exists(late.path):
            return self._nothing_new(late)
        wanted = {*services_of(definition), *late.services}
        stores = {n: s for n, s in self._reader.services().items() if n in wanted}
        alerts = self._reader.columns(late.path, [])
        answers = {n: self._reader.answers(s, late.path, alerts) for n, s in stores.items()}
        has = {n: records.is_valid().to_numpy() for n, records in answers.items()}
        lacking, answered = {}, [np.array([], np.int64)]
        for service, ranges in late.lacking.items():
            rows = rows_of(ranges)
            valid = has[service][rows] if service in has else np.zeros(len(rows), np.bool_)
            lacking[service] = rows[~valid]
            answered.append(rows[valid])
        codes = np.full(late.rows, NOT_PASSED, np.uint8)
        codes[np.concatenate(answered)] = PASSED
        own = {n: answers[n] for n in services_of(definition) if n in answers}
        amended = JudgedFile(late.item, {name: Verdicts(codes)}, own, {name: late.version})
        unjudged = late.unjudged_rows
        for need in definition.needs:
            found = has.get(service_name(need))
            unjudged = unjudged[:0] if found is None else unjudged[found[unjudged]]
        if not len(unjudged):
            return LateAnswers(late, lacking, amended, None, unjudged)
        judged = self._judged(late, published, unjudged)
        return None if judged is None else LateAnswers(late, lacking, amended, judged, unjudged)

    def send(
        self, found: LateAnswers, published: PublishedFilter, sender: Sender, progress: Progress
    ) -> tuple[LateFile, int]:
        """Send in the open transaction, and count; return what still waits, and the bytes."""
        late, name = found.late, found.late.filter
        after = {name: progress}
        waited = late.awaiting
        (amended,) = send_messages(
            sender, self._maker, [found.amended], [published], after, kind="amendment"
        )
        size = amended.size_bytes
        lacking = dict(found.lacking)
        still = late.with_rows(lacking, np.array([], np.int64)).awaiting
        progress.completed += len(waited) - len(still)
        progress.awaiting -= len(waited) - len(still)
        if found.judged is not None:
            _count_late(found, progress)
            quota = self._quota_per_h
            (sent,) = send_files(
                sender, self._maker, [found.judged], [published], after, quota_per_h=quota
            )
            size += sent.size_bytes
            new = lacking_rows(found.judged, published, sent.rows[name])
            for service, rows in new.items():
                lacking[service] = np.union1d(lacking.get(service, rows[:0]), rows)
            count = len(late.with_rows(new, rows_of(())).awaiting)
            progress.incomplete += count
            progress.awaiting += count
        unjudged = np.setdiff1d(late.unjudged_rows, found.judged_rows)
        left = late.with_rows(lacking, unjudged)
        sender.write_late(left)
        progress.at = datetime.now(UTC)
        return left, size

    def _judged(
        self, late: LateFile, published: PublishedFilter, rows: np.ndarray
    ) -> JudgedFile | None:
        """Judge rows of a late file; None if the filter fails or rests."""
        if self._judge.rests(late.filter):
            return None
        definition = published.definition
        verdicts, answers = self._judge.judge(late.item, [definition], rows)
        found = verdicts.get(late.filter)
        if found is None:
            return None
        codes = np.full(late.rows, NOT_JUDGED, np.uint8)
        codes[rows] = found.codes[rows]
        reasons = dict(found.reasons)
        reasons.pop(needs_reason(definition.needs), None)
        return JudgedFile(late.item, {late.filter: Verdicts(codes, reasons)}, answers)

    def _nothing_new(self, late: LateFile) -> LateAnswers:
        codes = np.full(late.rows, NOT_PASSED, np.uint8)
        no_answers: dict[str, pa.ChunkedArray] = {}
        lacking = {service: rows_of(ranges) for service, ranges in late.lacking.items()}
        nothing = JudgedFile(late.item, {late.filter: Verdicts(codes)}, no_answers)
        return LateAnswers(late, lacking, nothing, None, rows_of(()))


def lapsed(
    late: Iterable[LateFile], filters: Mapping[str, PublishedFilter], before: datetime
) -> list[LateFile]:
    """Return the late files that are waited for no longer: since then, or their filter is gone."""
    return [
        each
        for each in late
        if each.since < before
        or each.filter not in filters
        or filters[each.filter].state == "retired"
    ]


def lapse(late: LateFile, sender: Sender, progress: Progress) -> LateFile:
    """Count the alerts that no service has answered as lapsed, in the open transaction.

    Return the late file without them.
    """
    count = len(late.awaiting)
    progress.lapsed += count
    progress.awaiting -= count
    emptied = late.with_rows({}, rows_of(()))
    sender.write_late(emptied)
    return emptied


def _count_late(found: LateAnswers, progress: Progress) -> None:
    """Count alerts that are judged now as what they are, no more as not judged."""
    assert found.judged is not None  # noqa: S101 - the caller looked
    verdicts = found.judged.verdicts[found.late.filter]
    codes = verdicts.codes[found.judged_rows]
    progress.take_not_judged(needs_reason(found.late.needs), len(codes))
    progress.passed += int(np.count_nonzero(codes == PASSED))
    progress.not_passed += int(np.count_nonzero(codes == NOT_PASSED))
    progress.judged_late += len(codes)
    claim = found.late.claims[0] if found.late.claims else found.late.path
    for reason, rows in verdicts.reasons.items():
        names = [f"{claim} row {row}" for row in rows[:NAMED_ALERTS]]
        progress.count_not_judged(reason, len(rows), names)
