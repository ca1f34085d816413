"""Write the results of a service: answers to files, files to claims, claims to the ledger.

A sink as `finkray.serving.sink` describes it.
"""

import contextlib
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from finkray.claim import Claim, ClaimResult, DataFile, StagedClaim
from finkray.errors import ArchiveHeld, Fenced, ServiceError, StorageError
from finkray.ledger.claims import read_results
from finkray.ledger.lease import Lease
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit, recover
from finkray.results.backlog import ClaimWork
from finkray.results.rows import (
    RowAnswers,
    covered_offsets,
    gaps_between,
    read_keys,
    result_table,
)
from finkray.results.store import (
    ABOUT_PATH,
    ServiceDescription,
    alerts_path,
    read_description,
    result_path,
    store_folder,
)
from finkray.services.service import Described
from finkray.storage.contract import Storage
from finkray.storage.layout import own_path
from finkray.storage.parquet import write_table

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _StagedWork:
    """A claim with new results in staging, and whether the ledger has the claim already."""

    claim: StagedClaim
    revises: bool


class ResultsWriter:
    """Writes the results of a version of a service; made by `open_store`.

    Attributes
    ----------
    storage, ledger
        of the results
    about
        the service
    """

    def __init__(
        self,
        archive: Storage,
        storage: Storage,
        ledger: Ledger,
        lease: Lease,
        about: Described,
    ) -> None:
        self._archive = archive
        self._lease = lease
        self._staged: list[_StagedWork] = []
        self._numbers = itertools.count()
        self.storage = storage
        self.ledger = ledger
        self.about = about

    @property
    def rows(self) -> int:
        """Number of results that are durable."""
        return self.ledger.totals().archived

    def covered(self, claims: Sequence[Claim]) -> dict[Claim, ClaimResult]:
        """Return the durable results of those claims that the ledger of the results has."""
        known = [claim for claim in claims if self.ledger.state.covers(claim)]
        results = read_results(self.storage, known) if known else {}
        return {
            claim: replace(
                result,
                files=tuple(replace(file, path=alerts_path(file.path)) for file in result.files),
            )
            for claim, result in results.items()
        }

    def stage(
        self, work: ClaimWork, answers: Mapping[str, Sequence[RowAnswers]]
    ) -> pa.Table | None:
        """Write the results of a claim into staging, where no reader looks.

        Parameters
        ----------
        work
            the claim
        answers
            for the key of each of its files the answers for its rows; a file without answers
            could not be read and is left out

        Returns
        -------
        Table or None
            Kafka timestamp and status of each new row; None if the results have all of the
            claim already, so that there is nothing to commit

        Raises
        ------
        StorageError
            if a file of alerts cannot be read, or staging cannot be written
        """
        before = work.before
        had = np.zeros(0, np.int64) if before is None else covered_offsets(work.claim, before.gaps)
        offsets, files, staged, rows = [had], [], {}, []
        for file in work.files:
            if file.key not in answers:
                continue
            table = self._table(file, answers[file.key], had)
            if table.num_rows == 0:
                continue
            written, staged_path = self._write(work.claim, file, table)
            staged[written.path] = staged_path
            files.append(written)
            offsets.append(table["kafka_offset"].to_numpy())
            rows.append(table.select(["kafka_timestamp", "status"]))
        if before is not None and not files:
            return None
        earlier = () if before is None else before.files
        result = ClaimResult(
            claim=work.claim,
            files=(*(replace(file, path=result_path(file.path)) for file in earlier), *files),
            gaps=gaps_between(work.claim, np.sort(np.concatenate(offsets))),
        )
        self._staged.append(_StagedWork(StagedClaim(result, staged), revises=before is not None))
        return pa.concat_tables(rows) if rows else pa.table({})

    def commit(self) -> None:
        """Append all that is staged to the ledger, and publish its files.

        Raises
        ------
        Fenced, StorageError
            as `finkray.ledger.publish.commit`
        """
        new = [work.claim for work in self._staged if not work.revises]
        revised = [work.claim for work in self._staged if work.revises]
        if new:
            commit(self.ledger, self.storage, new)
        if revised:
            commit(self.ledger, self.storage, revised, "repaired")
        self._staged.clear()
        self.ledger.compact()

    def refuse_if_lost(self) -> None:
        """Raise `Fenced` if another process holds the lease now."""
        if self._lease.lost:
            raise Fenced("another process has taken these results over")

    def _table(self, file: DataFile, answers: Sequence[RowAnswers], had: np.ndarray) -> pa.Table:
        try:
            with self._archive.open(file.path) as source:
                keys = read_keys(source)
        except OSError as error:
            raise StorageError(f"{file.path} of the archive cannot be read: {error}") from error
        keys = keys.slice(file.first_row, file.rows)
        table = result_table(keys, answers, self.about, datetime.now(UTC))
        if had.size:
            known = np.isin(table["kafka_offset"].to_numpy(), had)
            table = table.filter(pa.array(~known))
        return table

    def _write(self, claim: Claim, file: DataFile, table: pa.Table) -> tuple[DataFile, str]:
        path = f"{self.ledger.staging}/{next(self._numbers):08d}.parquet"
        with self.storage.stage(path) as sink:
            crc32 = write_table(table, sink)
            size_bytes = sink.tell()
        offsets = table["kafka_offset"]
        written = DataFile(
            path=result_path(own_path(claim.source, file)),
            rows=table.num_rows,
            size_bytes=size_bytes,
            first_offset=offsets[0].as_py(),
            last_offset=offsets[-1].as_py(),
            schema_fingerprint=file.schema_fingerprint,
            hour_utc=file.hour_utc,
            crc32=crc32,
        )
        return written, path


@contextlib.contextmanager
def open_store(
    archive: Storage, name: str, spec: str, about: Described, lease_ttl_s: float
) -> Iterator[ResultsWriter]:
    """Yield the only writer of the results `name` of this version of a service.

    Raises
    ------
    ArchiveHeld
        if another process holds them
    ServiceError
        if the folder has results of a service that adds other columns
    """
    storage = archive.below(store_folder(name, about.version))
    mine = ServiceDescription(
        about.name, about.version, spec, about.columns, about.output, tuple(about.inputs)
    )
    try:
        lease = Lease.acquire(storage, ttl_s=lease_ttl_s)
    except ArchiveHeld as error:
        raise ArchiveHeld(
            f"results are written to {name}/{about.version} already ({error}): "
            f"`finkray stop {name}` ends a service that runs live"
        ) from error
    with lease:
        ledger = Ledger.take_over(storage, lease)
        recover(ledger, storage)
        if not storage.create(ABOUT_PATH, mine.to_bytes()):
            _refuse_another(read_description(storage), mine, name)
        yield ResultsWriter(archive, storage, ledger, lease, about)


def _refuse_another(there: ServiceDescription | None, mine: ServiceDescription, name: str) -> None:
    if there is None or (there.service, there.output) != (mine.service, mine.output):
        other_service = (
            "something unknown" if there is None else f"{there.spec}, {there.output.names}"
        )
        raise ServiceError(
            f"{name}/{mine.version} has results of {other_service}: give the service another "
            "version, or its results another name"
        )
