"""The one writer of a science store: answers to files, files to claims, claims to the ledger."""

import contextlib
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from finkray.claim import ClaimResult, DataFile, StagedClaim
from finkray.errors import ArchiveHeld, ServiceError, StorageError
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
    read_description,
    result_path,
    results_storage,
    store_folder,
)
from finkray.services.service import Described
from finkray.storage.contract import Storage
from finkray.storage.local import LocalStorage
from finkray.storage.parquet import write_table

log = logging.getLogger(__name__)


class ResultsWriter:
    """Writes the results of one version of a service; made by `open_store`.

    Attributes
    ----------
    storage, ledger
        of the store
    about
        the service
    """

    def __init__(
        self, archive: Storage, storage: LocalStorage, ledger: Ledger, about: Described
    ) -> None:
        self._archive = archive
        self.storage = storage
        self.ledger = ledger
        self.about = about
        self._numbers = itertools.count()

    def stage(
        self, work: ClaimWork, answers: Mapping[str, Sequence[RowAnswers]]
    ) -> tuple[StagedClaim | None, pa.Table]:
        """Write the results of a claim where nobody reads yet.

        Parameters
        ----------
        work
            the claim
        answers
            for the path of each of its files what was said of its rows; a file that is not here
            could not be read, and is left out

        Returns
        -------
        StagedClaim or None
            what `commit` takes; None if the store has all of it already
        Table
            keys and status of the new rows
        """
        before = work.before
        had = np.zeros(0, np.int64) if before is None else covered_offsets(work.claim, before.gaps)
        offsets, files, staged, rows = [had], [], {}, []
        for file in work.files:
            if file.path not in answers:
                continue
            table = self._table(file, answers[file.path], had)
            if table.num_rows == 0:
                continue
            written, place = self._write(file, table)
            staged[written.path] = place
            files.append(written)
            offsets.append(table["kafka_offset"].to_numpy())
            rows.append(table.select(["kafka_timestamp", "status"]))
        if before is not None and not files:
            return None, pa.table({})
        result = ClaimResult(
            claim=work.claim,
            files=(*(() if before is None else before.files), *files),
            gaps=gaps_between(work.claim, np.sort(np.concatenate(offsets))),
        )
        return StagedClaim(result, staged), pa.concat_tables(rows) if rows else pa.table({})

    def commit(self, works: Sequence[tuple[ClaimWork, StagedClaim]]) -> None:
        """Make results part of the store.

        Raises
        ------
        Fenced, StorageError
            as `finkray.ledger.publish.commit`
        """
        new = [staged for work, staged in works if work.before is None]
        repaired = [staged for work, staged in works if work.before is not None]
        if new:
            commit(self.ledger, self.storage, new)
        if repaired:
            commit(self.ledger, self.storage, repaired, "repaired")
        self.ledger.compact()

    def _table(self, file: DataFile, said: Sequence[RowAnswers], had: np.ndarray) -> pa.Table:
        try:
            with self._archive.filesystem.open_input_file(file.path) as source:
                keys = read_keys(source)
        except OSError as error:
            raise StorageError(f"{file.path} of the archive cannot be read: {error}") from error
        table = result_table(keys, said, self.about, datetime.now(UTC))
        if had.size:
            known = np.isin(table["kafka_offset"].to_numpy(), had)
            table = table.filter(pa.array(~known))
        return table

    def _write(self, file: DataFile, table: pa.Table) -> tuple[DataFile, str]:
        place = f"{self.ledger.staging}/{next(self._numbers):08d}.parquet"
        with self.storage.stage(place) as sink:
            write_table(table, sink)
            size_bytes = sink.tell()
        offsets = table["kafka_offset"]
        written = DataFile(
            path=result_path(file.path),
            rows=table.num_rows,
            size_bytes=size_bytes,
            first_offset=offsets[0].as_py(),
            last_offset=offsets[-1].as_py(),
            schema_fingerprint=file.schema_fingerprint,
            hour_utc=file.hour_utc,
        )
        return written, place


@contextlib.contextmanager
def open_store(
    archive: Storage, name: str, spec: str, about: Described, lease_ttl_s: float
) -> Iterator[tuple[ResultsWriter, Lease]]:
    """Be the one writer of the results called `name`, of this version of the service.

    Raises
    ------
    ArchiveHeld
        if somebody else is
    ServiceError
        if the folder has results of a service that adds other columns
    """
    storage = results_storage(archive, store_folder(name, about.version))
    storage.root.mkdir(parents=True, exist_ok=True)
    mine = ServiceDescription(about.name, about.version, spec, about.columns, about.output)
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
        yield ResultsWriter(archive, storage, ledger, about), lease


def _refuse_another(there: ServiceDescription | None, mine: ServiceDescription, name: str) -> None:
    if there is None or (there.service, there.output) != (mine.service, mine.output):
        found = "something unknown" if there is None else f"{there.spec}, {there.output.names}"
        raise ServiceError(
            f"{name}/{mine.version} has results of {found}: give the service another version, or "
            "its results another name"
        )
