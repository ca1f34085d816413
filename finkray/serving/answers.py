"""Collect the answers for the files of claims until each file of a claim has all of them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from finkray.claim import Claim
from finkray.results.backlog import ClaimWork
from finkray.results.rows import RowAnswers
from finkray.services.messages import Answer, Fault, Slice, null_rows

NO_COLUMNS = "it has none of the columns that the service reads"
"""The reason of a result with the status `skipped`."""


@dataclass(frozen=True, slots=True)
class AnsweredClaim:
    """A claim all of whose files have their answers.

    Attributes
    ----------
    work
        the claim
    answers
        by the key of the file; a file that could not be read is not here
    """

    work: ClaimWork
    answers: Mapping[str, Sequence[RowAnswers]]


@dataclass(slots=True)
class _OpenClaim:
    """A claim whose files are being processed, and the files that still lack answers."""

    work: ClaimWork
    missing: set[str]
    answers: dict[str, list[RowAnswers]] = field(default_factory=dict)


class OpenClaims:
    """The claims in work, and the answers for them so far.

    Parameters
    ----------
    output
        the columns that the service adds
    """

    def __init__(self, output: pa.Schema) -> None:
        self._output = output
        self._claims: dict[Claim, _OpenClaim] = {}
        self._claim_of: dict[str, Claim] = {}

    def __len__(self) -> int:
        return len(self._claims)

    @property
    def rows(self) -> int:
        """Number of alerts of all claims in work."""
        return sum(claim.work.rows for claim in self._claims.values())

    @property
    def oldest(self) -> ClaimWork | None:
        """The claim that came first into the archive."""
        works = [claim.work for claim in self._claims.values()]
        return min(works, key=lambda work: work.seq, default=None)

    def open(self, work: ClaimWork) -> dict[str, int]:
        """Add a claim, and return the number of rows of each of its files by key.

        A claim without any row has no file to process: call `take_empty` for it.
        """
        rows = {file.key: file.rows for file in work.files if file.rows}
        self._claims[work.claim] = _OpenClaim(work, set(rows))
        self._claim_of.update(dict.fromkeys(rows, work.claim))
        return rows

    def with_inputs(self, slices: Sequence[Slice]) -> list[Slice]:
        """Return the slices with the files of results that the service reads beside them."""
        return [
            replace(slice_, inputs=self._claims[claim].work.inputs.get(slice_.file, ()))
            for slice_ in slices
            if (claim := self._claim_of.get(slice_.file)) is not None
        ]

    def take_empty(self, work: ClaimWork) -> AnsweredClaim:
        """Return a claim that has no file to process, and forget it."""
        return AnsweredClaim(work, self._claims.pop(work.claim).answers)

    def add(self, slices: Sequence[Slice], answer: Answer) -> None:
        """Add the answer for a batch: to each file the rows of its slice."""
        assert answer.table is not None  # noqa: S101 - an answer with a fault is not added
        errors = {row: f"{fault}: {detail}" for row, fault, detail in answer.errors}
        first = 0
        for slice_, skipped in zip(slices, answer.skipped, strict=True):
            rows = range(first, first + slice_.rows)
            status, reason = ("skipped", NO_COLUMNS) if skipped else ("ok", None)
            self._add(
                slice_.file,
                RowAnswers(
                    first_row=slice_.first_row,
                    table=answer.table.slice(first, slice_.rows),
                    status=["error" if row in errors else status for row in rows],
                    reason=[errors.get(row, reason) for row in rows],
                ),
            )
            first += slice_.rows

    def add_error(self, alert: Slice, fault: Fault, detail: str) -> None:
        """Give the single alert of a slice the status `error`."""
        nothing = null_rows(1, self._output)
        self._add(
            alert.file, RowAnswers(alert.first_row, nothing, ["error"], [f"{fault}: {detail}"])
        )

    def complete(self, path: str) -> AnsweredClaim | None:
        """Note that all rows of a file have answers; return its claim if that was the last file."""
        claim = self._claim_of.pop(path)
        open_claim = self._claims[claim]
        open_claim.missing.discard(path)
        if open_claim.missing:
            return None
        del self._claims[claim]
        return AnsweredClaim(open_claim.work, open_claim.answers)

    def abandon(self, path: str) -> AnsweredClaim | None:
        """Forget the answers of a file that cannot be read; return its claim as `complete` does."""
        self._claims[self._claim_of[path]].answers.pop(path, None)
        return self.complete(path)

    def _add(self, path: str, answers: RowAnswers) -> None:
        claim = self._claim_of.get(path)
        if claim is not None:  # else the file was abandoned in the meantime
            self._claims[claim].answers.setdefault(path, []).append(answers)
