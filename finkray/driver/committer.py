"""Commit staged claims to the ledger, and retry while the storage refuses."""

import logging
import time
from collections.abc import Callable, Sequence

from finkray.claim import StagedClaim
from finkray.errors import ClusterUnavailable, StorageError
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit
from finkray.storage.contract import Storage

RETRY_STORAGE_S = 1.0
"""Pause before a commit is retried after the storage refused it."""

log = logging.getLogger(__name__)


class Committer:
    """Commits claims, and knows whether the last commit succeeded.

    Parameters
    ----------
    ledger, storage
        of the archive
    monotonic_s
        the clock, in seconds

    Attributes
    ----------
    in_doubt
        the storage failed during the last commit: its claims may be in the ledger or not. The same
        claims are committed again until they are
    refusal
        the error with which the storage last refused; "" after a commit
    """

    def __init__(
        self, ledger: Ledger, storage: Storage, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._ledger = ledger
        self._storage = storage
        self._monotonic_s = monotonic_s
        self._retry_at_s = float("-inf")
        self.in_doubt = False
        self.refusal = ""

    def commit(self, staged: Sequence[StagedClaim]) -> bool:
        """Commit the claims and publish their files; return whether they are durable.

        After a refusal of the storage, do nothing for `RETRY_STORAGE_S`.

        Raises
        ------
        Fenced
            if another archive has taken the ledger over
        ClusterUnavailable
            if staged files are gone: a retry cannot help, a fresh process reads the claims again
        """
        now_s = self._monotonic_s()
        if now_s < self._retry_at_s:
            return False
        try:
            commit(self._ledger, self._storage, staged)
        except StorageError as error:
            self.in_doubt = True
            self.refusal = str(error)
            self._retry_at_s = now_s + RETRY_STORAGE_S
            self._raise_if_files_are_gone(staged)
            return False
        self.in_doubt = False
        self.refusal = ""
        return True

    def discard(self, staged: StagedClaim) -> None:
        """Delete the staged files of a claim that will not be committed."""
        try:
            self._storage.delete(staged.staged.values())
        except StorageError as error:
            # The next start empties staging.
            log.info("%s: discarded files stay in staging: %s", staged.result.claim, error)

    def _raise_if_files_are_gone(self, staged: Sequence[StagedClaim]) -> None:
        try:
            # An archive that takes the ledger over deletes what was staged before, also between
            # the refusal and this look.
            self._ledger.refuse_if_fenced()
            gone = [
                final
                for claim in staged
                for final, path in claim.staged.items()
                if self._storage.size_bytes(path) is None
                and self._storage.size_bytes(final) is None
            ]
        except StorageError:
            return  # the storage still refuses, which the alarm says already
        if gone:
            raise ClusterUnavailable(
                f"{len(gone)} staged files were removed by another program, as {gone[0]}: "
                "their claims are read again from Kafka"
            )
