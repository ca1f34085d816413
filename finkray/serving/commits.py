"""Stage answered claims in a sink, and commit several at a time, within a time limit."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from finkray.errors import StorageError
from finkray.results.backlog import ClaimWork
from finkray.serving.answers import AnsweredClaim
from finkray.serving.sink import Sink

RETRY_STORAGE_S = 1.0
"""Pause before a commit is tried again after the storage refused it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CommitSettings:
    """When staged claims are committed.

    Attributes
    ----------
    claims, wait_s
        at this number of claims, or when the first of them has waited this long
    """

    claims: int = 64
    wait_s: float = 0.5


def is_due(
    staged: int, waited_s: float, settings: CommitSettings, *, nothing_else_to_do: bool
) -> bool:
    """Return whether staged claims are to be committed now.

    Parameters
    ----------
    staged
        number of claims that are staged
    waited_s
        how long the first of them has waited
    settings
        bounds
    nothing_else_to_do
        whether no claim is in work that could be committed with them
    """
    if not staged:
        return False
    return nothing_else_to_do or staged >= settings.claims or waited_s >= settings.wait_s


@dataclass(frozen=True, slots=True)
class Committed:
    """The claims and results that a commit made durable.

    Attributes
    ----------
    works
        the claims
    rows
        for each claim, Kafka timestamp and status of its new rows
    """

    works: Sequence[ClaimWork]
    rows: Sequence[pa.Table]


class Committer:
    """Stages and commits answered claims.

    Parameters
    ----------
    sink
        what keeps the results
    settings
        when they are committed
    """

    def __init__(self, sink: Sink, settings: CommitSettings) -> None:
        self._sink = sink
        self._settings = settings
        self._works: list[ClaimWork] = []
        self._rows: list[pa.Table] = []
        self._since_s = 0.0
        self._not_before_s = 0.0

    @property
    def staged(self) -> int:
        """Number of claims that are staged and not committed."""
        return len(self._works)

    @property
    def rows(self) -> int:
        """Number of alerts of these claims."""
        return sum(work.rows for work in self._works)

    def stage(self, answered: AnsweredClaim, now_s: float) -> bool:
        """Stage a claim; False if the sink has all of it already."""
        rows = self._sink.stage(answered.work, answered.answers)
        if rows is None:
            return False
        if not self._works:
            self._since_s = now_s
        self._works.append(answered.work)
        self._rows.append(rows)
        return True

    def commit_if_due(self, now_s: float, *, nothing_else_to_do: bool) -> Committed | None:
        """Commit the staged claims if that is due; None if it is not, or if the storage refuses.

        Raises
        ------
        Fenced
            if another process has taken the sink over
        """
        waited_s = now_s - self._since_s
        if now_s < self._not_before_s or not is_due(
            self.staged, waited_s, self._settings, nothing_else_to_do=nothing_else_to_do
        ):
            return None
        try:
            self._sink.commit()
        except StorageError as error:
            log.warning(
                "committing %d claims failed, will retry in %.1f s: %s",
                self.staged,
                RETRY_STORAGE_S,
                error,
            )
            self._not_before_s = now_s + RETRY_STORAGE_S
            return None
        committed = Committed(tuple(self._works), tuple(self._rows))
        self._works.clear()
        self._rows.clear()
        return committed
