"""Archive what an audit found missing: offsets that no claim has, and files that vanished.

Offsets in `unreadable` gaps are read again too: a broker may have got back a sound copy.

It writes under the archive's lease, so the archive must not run at the same
time. Offsets that Kafka no longer has are recorded as `expired`.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from finkray.audit.report import AuditReport, missing_ranges, vanished_files
from finkray.claim import Claim, ClaimResult, DataFile, Gap, GapKind, StagedClaim, TopicPartition
from finkray.intervals import IntervalSet
from finkray.ledger.claims import read_results, read_unreadable
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit, publish
from finkray.packets.batch import AlertBatch, make_batch
from finkray.packets.dead_letters import KEPT_COLUMNS, kept_messages
from finkray.packets.message import RawMessage
from finkray.packets.write_claim import write_claim
from finkray.redrive.decoding import archive_decoder
from finkray.redrive.reread import Reread, Rereader
from finkray.settings.model import Settings
from finkray.storage.contract import Storage


@dataclass(frozen=True, slots=True)
class RedriveResult:
    """The result of a redrive.

    Attributes
    ----------
    alerts, dead_letters
        rows that are in the archive now and were not before
    expired
        offsets that Kafka no longer has
    files
        files written again in place of vanished ones
    dead_again
        alerts of resolved dead letters that are dead letters again: their file vanished, and the
        letters no longer decode, or are kept in part only
    """

    alerts: int = 0
    dead_letters: int = 0
    expired: int = 0
    files: int = 0
    dead_again: int = 0

    def __add__(self, other: "RedriveResult") -> "RedriveResult":
        return RedriveResult(
            self.alerts + other.alerts,
            self.dead_letters + other.dead_letters,
            self.expired + other.expired,
            self.files + other.files,
            self.dead_again + other.dead_again,
        )


class Redriver:
    """Reads offsets from Kafka again and commits them.

    Parameters
    ----------
    settings
        all settings
    storage, ledger
        of the archive, taken over by the caller
    """

    def __init__(self, settings: Settings, storage: Storage, ledger: Ledger) -> None:
        self._kafka = Rereader(settings)
        self._storage = storage
        self._ledger = ledger
        self._decoder = archive_decoder(settings, storage)
        self._dead_letter_bytes = int(settings.packets.dead_letter_bytes)

    def redrive(self, report: AuditReport, on_progress: Callable[[str], None]) -> RedriveResult:
        """Archive everything that the report calls missing, claim by claim.

        Parameters
        ----------
        report
            of an audit that compared with Kafka
        on_progress
            receives a line about each claim
        """
        done = RedriveResult()
        for hole in missing_ranges(report):
            for staged in self._archive(hole):
                commit(self._ledger, self._storage, [staged])
                on_progress(f"{staged.result.claim}: {staged.result.archived} alerts archived")
                done += _sums(staged.result)
        for result in read_unreadable(self._storage) if report.unreadable else ():
            read = self._read_unreadable(result)
            on_progress(f"{result.claim}: {_sentence(read)} of its unreadable record batches")
            done += read
        vanished = vanished_files(report.file_findings)
        for claim, result in sorted(read_results(self._storage, list(vanished)).items()):
            repaired = self._repair(result, vanished[claim])
            on_progress(f"{claim}: {repaired.files} files written again")
            if repaired.dead_again:
                on_progress(
                    f"{claim}: {repaired.dead_again} alerts are dead letters again, because "
                    "they do not decode now: `finkray deadletters redrive` archives them as soon "
                    "as they do"
                )
            done += repaired
        return done

    def _archive(self, hole: Claim) -> Iterator[StagedClaim]:
        """Stage a hole as claims of the usual size, in order."""
        low, end = self._kafka.low(hole.source), hole.last_offset + 1
        first = end if low is None else max(hole.first_offset, min(low, end))
        if first > hole.first_offset:
            gap = Gap("expired", hole.first_offset, first - 1)
            expired = Claim(hole.source, gap.first_offset, gap.last_offset)
            yield self._stage(make_batch(expired, [], [gap], self._decoder))
        if first <= hole.last_offset:
            for cut in self._kafka.cuts(replace(hole, first_offset=first)):
                yield self._stage(
                    make_batch(
                        cut.claim, cut.messages, cut.gaps, self._decoder, self._dead_letter_bytes
                    )
                )

    def _read_unreadable(self, result: ClaimResult) -> RedriveResult:
        """Read the unreadable gaps of a claim again; what Kafka cannot send stays in them."""
        claim = result.claim
        low = self._kafka.low(claim.source)
        messages: list[RawMessage] = []
        gaps: list[Gap] = []
        for gap in result.gaps:
            first = gap.first_offset if low is None else max(low, gap.first_offset)
            if gap.kind != "unreadable" or low is None or first > gap.last_offset:
                gaps.append(gap)
                continue
            if first > gap.first_offset:
                gaps.append(replace(gap, last_offset=first - 1))
            span = Claim(claim.source, first, gap.last_offset)
            for cut in self._kafka.cuts(span, bounded=True):
                messages += cut.messages
                gaps += cut.gaps
        if tuple(gaps) == result.gaps:
            return RedriveResult()
        batch = make_batch(claim, messages, (), self._decoder, self._dead_letter_bytes)
        written = self._stage(batch)
        reasons = Counter(dict(result.dead_letters_by_reason)) + _counter(written.result)
        read = replace(
            result,
            files=(*result.files, *written.result.files),
            dead_letter_files=(*result.dead_letter_files, *written.result.dead_letter_files),
            dead_letters_by_reason=tuple(sorted(reasons.items())),
            gaps=tuple(gaps),
        )
        self._ledger.append([StagedClaim(read, written.staged)], kind="repaired")
        publish(self._ledger, self._storage)
        return _sums(written.result)

    def _repair(self, result: ClaimResult, vanished: Sequence[str]) -> RedriveResult:
        """Write the vanished files of a claim again, and record offsets that are lost.

        The alert of a resolved dead letter is decoded from the letter's bytes. If these no
        longer decode, the letter counts again.
        """
        claim = result.claim
        gone = set(vanished)
        intact = [file for file in result.files if file.path not in gone]
        letters = [file for file in result.dead_letter_files if file.path not in gone]
        archived, dead = _offsets_of(self._storage, intact), _offsets_of(self._storage, letters)
        in_gaps = {n for gap in result.gaps for n in range(gap.first_offset, gap.last_offset + 1)}
        missing = set(range(claim.first_offset, claim.last_offset + 1)) - archived - dead - in_gaps
        before = {n for span in result.resolved for n in range(span.first, span.last + 1)}
        again = (before & dead) - archived
        messages, unreadable = self._messages(claim, missing, letters, again)
        lost = missing - {message.offset for message in messages}
        batch = make_batch(claim, messages, (), self._decoder, self._dead_letter_bytes)
        kept_already = pc.field("kafka_offset").isin(sorted(again))
        batch = replace(batch, dead_letters=batch.dead_letters.filter(~kept_already))
        written = self._stage(batch)
        resolved = before & dead & {*archived, *batch.alert_offsets}
        gaps = self._gaps(claim.source, lost, unreadable)
        repaired = ClaimResult(
            claim=claim,
            files=(*intact, *written.result.files),
            dead_letter_files=(*letters, *written.result.dead_letter_files),
            dead_letters_by_reason=tuple(
                sorted(
                    (_reasons(self._storage, letters, resolved) + _counter(written.result)).items()
                )
            ),
            gaps=(*result.gaps, *gaps),
            resolved=tuple(IntervalSet.of(resolved)),
        )
        self._ledger.append([StagedClaim(repaired, written.staged)], kind="repaired")
        publish(self._ledger, self._storage)
        sums = _sums(written.result)
        return replace(
            sums,
            expired=sum(gap.offsets for gap in gaps if gap.kind == "expired"),
            files=len(written.staged),
            dead_again=len(again - resolved),
        )

    def _gaps(
        self, source: TopicPartition, lost: set[int], unreadable: set[int]
    ) -> tuple[Gap, ...]:
        """Return the gaps of offsets that Kafka did not deliver.

        It deleted them, cannot send them, or never had a message there: the offsets of a rebuilt
        claim that are in no file may be of transaction markers.
        """
        low = self._kafka.low(source) if lost else None
        expired = {offset for offset in lost if low is None or offset < low}
        kinds: dict[GapKind, set[int]] = {
            "expired": expired,
            "unreadable": lost & unreadable,
            "not_delivered": lost - expired - unreadable,
        }
        return tuple(
            Gap(kind, *span) for kind, offsets in kinds.items() for span in IntervalSet.of(offsets)
        )

    def _messages(
        self, claim: Claim, missing: set[int], letters: Sequence[DataFile], again: set[int]
    ) -> Reread:
        """Return the messages at missing offsets that Kafka still has, and letters, in order."""
        kept: dict[int, RawMessage] = {}
        for file in letters if again else ():
            with self._storage.open(file.path) as source:
                table = pq.read_table(source, columns=list(KEPT_COLUMNS))
            rows = table.filter(pc.field("kafka_offset").isin(sorted(again)))
            kept |= {message.offset: message for message in kept_messages(rows)}
        # A letter that is kept in part is whole in Kafka only.
        reread = self._kafka.read(claim.source, missing | (again - kept.keys()))
        kept |= {message.offset: message for message in reread.messages}
        return Reread([kept[offset] for offset in sorted(kept)], reread.unreadable)

    def _stage(self, batch: AlertBatch) -> StagedClaim:
        attempt = f"redrive-{time.time_ns()}"
        return write_claim(batch, self._storage, self._ledger.staging, attempt)


def _sums(result: ClaimResult) -> RedriveResult:
    return RedriveResult(result.archived, result.dead_lettered, result.in_gaps_of("expired"))


def _sentence(read: RedriveResult) -> str:
    return f"{read.alerts} alerts archived and {read.dead_letters} dead letters"


def _offsets_of(storage: Storage, files: Sequence[DataFile]) -> set[int]:
    """Return the offsets in the files."""
    return {offset for file in files for offset in _column(storage, file, "kafka_offset")}


def _reasons(
    storage: Storage, files: Sequence[DataFile], resolved: Collection[int]
) -> Counter[str]:
    """Count the dead letters of the files by reason, without resolved ones."""
    reasons: Counter[str] = Counter()
    for file in files:
        offsets, whys = _column(storage, file, "kafka_offset"), _column(storage, file, "reason")
        pairs = zip(offsets, whys, strict=True)
        reasons.update(reason for offset, reason in pairs if offset not in resolved)
    return reasons


def _column(storage: Storage, file: DataFile, name: str) -> list[Any]:
    with storage.open(file.path) as source:
        table = pq.read_table(source, columns=[name])
    values: list[Any] = table.column(0).slice(file.first_row, file.rows).to_pylist()
    return values


def _counter(result: ClaimResult) -> Counter[str]:
    by_reason: Mapping[str, int] = dict(result.dead_letters_by_reason)
    return Counter(by_reason)
