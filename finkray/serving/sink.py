"""The contract between the loop of a service and the sink of its results.

The loop (`finkray.serving.server`) reads claims of the archive, has workers process their alerts,
and hands the answers to a sink. The results beside the archive are one sink
(`finkray.results.writer.ResultsWriter`); a sink may as well be a topic of Kafka.

Who calls what, and when
------------------------
One thread calls all methods, in this order for each claim::

    covered ─> (workers process the claim) ─> stage ─> commit

1. `covered` is called when the loop reads entries of the archive's ledger, with all claims of
   some entries. Its reply decides which files of a claim are processed.
2. `stage` is called once for a claim, when every file of it has its answers. Claims come in the
   order in which they are completed, not in that of their offsets. The same claim is not
   staged again before the `commit` that follows.
3. `commit` is called for all that was staged since the last one that succeeded: after some claims,
   after some time, and before the loop ends.
4. `refuse_if_lost` is called about once a second.

What is atomic, and what may be done again
------------------------------------------
- Nothing that `stage` wrote may be visible to a reader before `commit`.
- `commit` makes each staged claim durable as a whole or not at all. Some of the claims may be
  durable when it raises or the process dies.
- After a `StorageError` of `commit` the loop waits and calls `commit` again. A sink keeps what is
  staged until a call succeeds, and must not write a claim twice that an earlier call made durable.
- After a crash nothing that was staged counts. The next process opens the sink, calls `covered`,
  and processes again what is missing there. So `covered` must return exactly what is durable.
- A sink has a single writer. A sink that another process has taken over raises `Fenced` from
  `commit` before anything becomes visible, and from `refuse_if_lost`.

A sink is opened by a context manager (`OpenSink`), which takes the sink over, repairs what a crash
left unfinished, and raises `ArchiveHeld` if another process holds it.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import pyarrow as pa

from finkray.claim import Claim, ClaimResult
from finkray.results.backlog import ClaimWork
from finkray.results.rows import RowAnswers
from finkray.services.service import Described
from finkray.storage.contract import Storage


class Sink(Protocol):
    """Keeps the results of a version of a service; the module describes the contract."""

    @property
    def storage(self) -> Storage:
        """The sink's own folder, for small files of the loop.

        They say which alerts a live service processes, and up to which ledger entry all is done.
        """

    @property
    def rows(self) -> int:
        """Number of durable results, over all runs."""

    def covered(self, claims: Sequence[Claim]) -> Mapping[Claim, ClaimResult]:
        """Return the durable results of those claims that the sink has.

        Of each result, `files` are the files of alerts that were processed, under their paths in
        the archive, and `gaps` the offsets without a result. A claim that was committed without any
        alert has no file; one that was never committed is not in the mapping.
        """

    def stage(
        self, work: ClaimWork, answers: Mapping[str, Sequence[RowAnswers]]
    ) -> pa.Table | None:
        """Prepare the results of a claim; no reader sees them yet.

        Parameters
        ----------
        work
            the claim; `work.before` is what `covered` returned for it, and no offset that has a
            result there gets another one
        answers
            for the key of each of its files the answers for its rows, in any order; a file
            without an entry could not be read and is left out

        Returns
        -------
        Table or None
            Kafka timestamp and status of each new row; None if there is nothing to commit

        Raises
        ------
        StorageError
            if the results cannot be prepared: the service ends, and its next start repeats it
        """

    def commit(self) -> None:
        """Make all that is staged durable and visible.

        Raises
        ------
        StorageError
            if the commit fails now; call again
        Fenced
            if another process has taken the sink over
        """

    def refuse_if_lost(self) -> None:
        """Raise `Fenced` if it is known that another process has taken the sink over."""


OpenSink = Callable[[Storage, str, str, Described, float], AbstractContextManager[Sink]]
"""Open the sink for ``(archive, name, spec, about, lease_ttl_s)``: the name of the results, the
service as a command names it, what it declares, and how long a lease is valid without renewal."""
