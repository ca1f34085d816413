"""Results of other services as the input of a service: which claims have them, and in which files.

A service that names results in `needs` gets a claim when these results have all of its alerts; one
that names them in `uses` gets what is there when its turn comes. Each file of results stands for a
file of alerts, so to read them beside the alerts needs no search.
"""

import functools
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from finkray.claim import Claim, ClaimResult, DataFile
from finkray.errors import ServiceError, SettingsError
from finkray.ledger.claims import read_results
from finkray.ledger.read import LedgerReading, read_entries, read_state
from finkray.results.joined import KEYS, ResultFiles
from finkray.results.store import (
    ResultsStore,
    find_store,
    last_written,
    list_stores,
    result_path,
    result_schema,
    store_folder,
)
from finkray.services.columns import has, names_of
from finkray.services.service import Described, input_name
from finkray.storage.contract import Storage
from finkray.storage.layout import own_path

_RECENT_CLAIMS: Final = 8192
"""Claims of new entries that are remembered, so that a live service does not read the other
ledger again for each: some hours of a quiet night, an hour of a busy one."""


class ResultsInput:
    """The results of one other service, of all versions that a name means.

    Of several versions that have a claim the one that was written to last is read.

    Parameters
    ----------
    archive
        of the alerts
    text
        name of the results, or ``name/version``
    waits
        whether a claim waits until the results have it

    Attributes
    ----------
    name
        of the results, without the version: the columns of this input begin with it
    """

    def __init__(self, archive: Storage, text: str, *, waits: bool) -> None:
        self._archive = archive
        self._text = text
        self._versions: dict[str, _Version] = {}
        self.name = input_name(text)
        self.waits = waits
        self.refresh(())

    def refresh(self, waiting: Collection[Claim]) -> set[Claim]:
        """Read new ledger entries; return the waiting claims that may have results now."""
        changed: set[Claim] = set()
        stores = sorted(_stores(self._archive, self._text), key=last_written, reverse=True)
        versions = {}
        for store in stores:
            if store.version in self._versions:
                versions[store.version] = version = self._versions[store.version]
                changed.update(claim for claim in version.catch_up() if claim in waiting)
            else:
                versions[store.version] = version = _Version(store)
                changed.update(claim for claim in waiting if version.covers(claim))
        self._versions = versions
        return changed

    def covers(self, claim: Claim) -> bool:
        """Return whether a version has the claim in its ledger."""
        return any(version.covers(claim) for version in self._versions.values())

    def files(
        self, claims: Mapping[Claim, tuple[int, Sequence[DataFile]]]
    ) -> dict[Claim, dict[str, tuple[str, ...]]]:
        """Return the files of results for files of alerts.

        Parameters
        ----------
        claims
            for each claim the number of its alerts in the archive, and the files of alerts

        Returns
        -------
        dict
            for each claim, by the key of the file of alerts, the paths in the archive of the
            files with its results, () if these are not all there; a claim without any results
            is not here
        """
        out: dict[Claim, dict[str, tuple[str, ...]]] = {}
        for version in self._versions.values():
            missing = [claim for claim in claims if not all(out.get(claim, {"": ()}).values())]
            for claim, result in version.results(missing).items():
                alerts, files = claims[claim]
                paths_of_file = {file.key: version.paths(result, alerts, file) for file in files}
                if all(paths_of_file.values()) or (
                    claim not in out and any(paths_of_file.values())
                ):
                    out[claim] = paths_of_file
        return out


class _Version:
    """The results of one version, and its ledger as far as it was read."""

    def __init__(self, store: ResultsStore) -> None:
        self._storage = store.storage
        self._folder = store_folder(store.name, store.version)
        self._reading: LedgerReading = read_state(store.storage)
        self._recent: OrderedDict[Claim, ClaimResult] = OrderedDict()

    def catch_up(self) -> Iterable[Claim]:
        """Read new entries; return their claims."""
        claims = []
        for entry in read_entries(self._storage, self._reading.state.last_seq):
            self._reading.add(entry)
            for result in entry.claims:
                self._recent[result.claim] = result
                self._recent.move_to_end(result.claim)
                claims.append(result.claim)
        while len(self._recent) > _RECENT_CLAIMS:
            self._recent.popitem(last=False)
        return claims

    def covers(self, claim: Claim) -> bool:
        return self._reading.state.covers(claim)

    def results(self, claims: Sequence[Claim]) -> dict[Claim, ClaimResult]:
        covered = [claim for claim in claims if self.covers(claim)]
        found = {claim: self._recent[claim] for claim in covered if claim in self._recent}
        older = [claim for claim in covered if claim not in found]
        return found | (read_results(self._storage, older) if older else {})

    def paths(self, result: ClaimResult, alerts: int, file: DataFile) -> tuple[str, ...]:
        """Return the files with the results of a file of alerts; () if they are not all there."""
        path = result_path(own_path(result.claim.source, file))
        own = [results for results in result.files if results.path == path]
        if not own and result.archived >= alerts:
            # The alerts were in other files when they were processed.
            own = [
                results
                for results in result.files
                if results.first_offset <= file.last_offset
                and results.last_offset >= file.first_offset
            ]
        paths = [results.path for results in own]
        if any(self._storage.size_bytes(path) is None for path in paths):  # not published yet
            return ()
        return tuple(f"{self._folder}/{path}" for path in paths)


def open_inputs(archive: Storage, about: Described, name: str) -> list[ResultsInput]:
    """Return the inputs that a service declares.

    Parameters
    ----------
    archive
        of the alerts
    about
        the service
    name
        of the results that it writes

    Raises
    ------
    ServiceError
        if there are no such results, they lack a column that the service reads, or they are
        those that it writes itself
    SettingsError
        if the service that writes them reads, directly or through others, what this one writes:
        each would wait for the other
    """
    for text in about.inputs:
        other, _, version = text.partition("/")
        if other == name and version in ("", about.version):
            raise ServiceError(
                f"{about.name} would read the results that it writes, {name!r}: give its results "
                "another name (--into NAME), or read those of another service"
            )
        try:
            store = find_store(archive, text)
        except ServiceError as error:
            raise ServiceError(
                f"{about.name} reads results of another service, and {error}: run or start that "
                "service first"
            ) from error
        _refuse_unknown_columns(about, text, store)
        _refuse_cycle(archive, about.version, [name, text], store)
    waiting = [ResultsInput(archive, text, waits=True) for text in about.needs]
    return waiting + [ResultsInput(archive, text, waits=False) for text in about.uses]


def read_input(archive: Storage, text: str, alerts_paths: Sequence[str]) -> pa.Table:
    """Read the results for some files of alerts, for a service that is tried on these.

    Raises
    ------
    ServiceError
        if there are no such results at all
    """
    store = find_store(archive, text)
    files = ResultFiles(store)
    tables = [result_schema(store.about.output).empty_table()]
    for alerts_path in alerts_paths:
        for path in files.paths(alerts_path, functools.partial(_keys_of, archive, alerts_path)):
            with store.storage.open(path) as source:
                tables.append(pq.read_table(source, partitioning=None))
    return pa.concat_tables(tables)


def _keys_of(archive: Storage, alerts_path: str) -> pa.Table:
    with archive.open(alerts_path) as source:
        return pq.read_table(source, columns=list(KEYS), partitioning=None)


def _refuse_unknown_columns(about: Described, text: str, store: ResultsStore) -> None:
    schema = result_schema(store.about.output)
    missing = [name for name in about.columns_of(input_name(text)) if not has(schema, name)]
    if missing:
        raise ServiceError(
            f"{about.name} reads {', '.join(missing)} of {text}, which has no such column; it "
            f"has: {', '.join(names_of(schema))}"
        )


def _refuse_cycle(archive: Storage, version: str, path: Sequence[str], store: ResultsStore) -> None:
    """Refuse inputs that lead back to the results of a version that begin the path.

    Parameters
    ----------
    archive
        of the alerts
    version
        of the service that is about to run
    path
        the results that it writes, and what leads from these to the store
    store
        the results at the end of the path
    """
    for text in store.about.inputs:
        other, _, other_version = text.partition("/")
        if other == path[0] and other_version in ("", version):
            steps = " reads ".join([*path, text])
            raise SettingsError(
                f"{steps}: services that are inputs of each other would wait for each other. Take "
                f"{path[1]} out of the inputs of {path[0]}, or give {path[-1]} another version "
                f"without {text}"
            )
        if text in path:
            continue  # a cycle of others, which none of them can have begun together
        try:
            further = find_store(archive, text)
        except ServiceError:
            continue
        _refuse_cycle(archive, version, [*path, text], further)


def _stores(archive: Storage, text: str) -> Iterable[ResultsStore]:
    name, _, version = text.partition("/")
    for store in list_stores(archive, name):
        if version in ("", store.version):
            yield store
