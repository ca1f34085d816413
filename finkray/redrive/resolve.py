"""Decode dead letters again: those that decode now become alerts of the archive, once.

A dead-letter file is never changed. An entry ``resolved`` of the ledger revises the claim of the
letter: it adds a file with the alert, and marks the letter's offset as resolved. Before that entry
nothing has changed; after it the letter is not tried again. So a redrive may be interrupted
anywhere and repeated. The archive must not run at the same time: a ledger has a single writer.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from finkray.claim import Claim, ClaimResult, DataFile, StagedClaim
from finkray.dead_letters.search import ClaimLetters, DeadLetters, Selection
from finkray.intervals import IntervalSet
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit
from finkray.packets.batch import make_batch
from finkray.packets.dead_letters import kept_messages
from finkray.packets.message import RawMessage
from finkray.packets.write_claim import write_claim
from finkray.redrive.decoding import archive_decoder
from finkray.redrive.reread import Rereader
from finkray.settings.model import Settings
from finkray.storage.contract import Storage

CLAIMS_AT_A_TIME = 64
"""Number of claims whose letters an entry of the ledger resolves. More claims make fewer entries,
each of which costs a pass over the whole ledger; but if the process dies, more work is repeated."""


@dataclass(slots=True)
class ResolveResult:
    """The result of decoding dead letters again.

    Attributes
    ----------
    tried
        number of letters tried
    alerts
        number of letters that are alerts of the archive now
    by_reason
        letters that still do not decode, by their current reason
    cut_short
        of these, the number kept in part only and no longer in Kafka
    unread
        dead-letter files that could not be read
    """

    tried: int = 0
    alerts: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)
    cut_short: int = 0
    unread: tuple[str, ...] = ()


class Resolver:
    """Decodes dead letters again, and commits those that decode.

    Parameters
    ----------
    settings
        all settings
    storage, ledger
        of the archive, taken over by the caller
    """

    def __init__(self, settings: Settings, storage: Storage, ledger: Ledger) -> None:
        self._storage = storage
        self._ledger = ledger
        self._max_message_bytes = int(settings.kafka.max_message_bytes)
        self._decoder = archive_decoder(settings, storage)
        self._kafka = Rereader(settings)
        self._done = ResolveResult()

    def resolve(self, selection: Selection, on_progress: Callable[[str], None]) -> ResolveResult:
        """Try all selected letters.

        Parameters
        ----------
        selection
            the letters; those that are resolved already are skipped
        on_progress
            receives the progress as text

        Raises
        ------
        KafkaUnavailable
            if a letter is kept in part only and no broker answers; commits so far are kept
        StorageError
            if the storage refuses; repeat the call
        """
        search = DeadLetters(self._storage)
        waiting: dict[Claim, StagedClaim] = {}
        try:
            for letters in search.letters(
                replace(selection, resolved=False), on_progress=on_progress
            ):
                claim = letters.result.claim
                # A claim with files of several days: continue from its result so far.
                before = waiting[claim] if claim in waiting else StagedClaim(letters.result, {})
                if len(waiting) >= CLAIMS_AT_A_TIME and claim not in waiting:
                    self._commit(waiting)
                if (after := self._try(letters, before)) is not None:
                    waiting[claim] = after
            self._commit(waiting)
        finally:
            self._kafka.close()
        self._done.unread = tuple(search.unread)
        return self._done

    def _commit(self, waiting: dict[Claim, StagedClaim]) -> None:
        if waiting:
            commit(self._ledger, self._storage, list(waiting.values()), kind="resolved")
            self._done.alerts += sum(map(_alerts_in, waiting.values()))
            waiting.clear()

    def _try(self, letters: ClaimLetters, before: StagedClaim) -> StagedClaim | None:
        """Return the claim with the letters that decode as alerts; None if none decodes."""
        rows = letters.table.select(["kafka_offset", "reason"]).to_pylist()
        reasons = {row["kafka_offset"]: row["reason"] for row in rows}
        messages = list(self._messages(letters))
        batch = make_batch(before.result.claim, messages, (), self._decoder)
        self._done.tried += len(reasons)
        self._done.by_reason.update(batch.dead_letters["reason"].to_pylist())
        offsets = batch.alert_offsets
        if not offsets:
            return None
        alerts = replace(batch, dead_letters=batch.dead_letters.slice(0, 0))
        attempt = f"resolve-{time.time_ns()}"
        after = write_claim(alerts, self._storage, self._ledger.staging, attempt)
        resolved = {offset: reasons[offset] for offset in offsets}
        result = _revised(before.result, after.result.files, resolved)
        return StagedClaim(result, {**before.staged, **after.staged})

    def _messages(self, letters: ClaimLetters) -> Iterator[RawMessage]:
        """Yield the letters as messages, in order; those kept in part are read from Kafka."""
        table = letters.table
        kept = {message.offset: message for message in kept_messages(table)}
        rows = table.select(["kafka_offset", "size_bytes", "reason"]).to_pylist()
        # A message that is still too large is refused by its size alone.
        cut_short = {
            row["kafka_offset"]
            for row in rows
            if row["kafka_offset"] not in kept and row["size_bytes"] <= self._max_message_bytes
        }
        source = letters.result.claim.source
        reread = self._kafka.messages(source, cut_short)
        whole = kept | {message.offset: message for message in reread}
        for row in rows:
            if (offset := row["kafka_offset"]) in whole:
                yield whole[offset]
            else:
                self._done.by_reason[row["reason"]] += 1
                self._done.cut_short += offset in cut_short


def _alerts_in(claim: StagedClaim) -> int:
    return sum(file.rows for file in claim.result.files if file.path in claim.staged)


def _revised(
    before: ClaimResult, files: Sequence[DataFile], reasons: Mapping[int, str]
) -> ClaimResult:
    """Return the claim after letters with these offsets and reasons became alerts in the files."""
    left = Counter(dict(before.dead_letters_by_reason))
    left.subtract(reasons.values())
    known = (offset for span in before.resolved for offset in range(span.first, span.last + 1))
    return replace(
        before,
        files=(*before.files, *files),
        dead_letters_by_reason=tuple(sorted((+left).items())),
        resolved=tuple(IntervalSet.of([*known, *reasons])),
    )
