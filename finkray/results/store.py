"""The folders and files of results of services, beside the alerts.

    science/<name>/<version>/
        about.json                              the service, the columns it reads and adds
        results/topic=…/…/hour=…/….parquet      the results; nothing else below results/
        ledger/, staging/                       as the archive's own
        live.json, position.json                what is processed, and where to look on

Each folder of a version is a small archive: the same ledger, the same two steps of commit and
publish, the same lease. Its claims are the archive's, so a claim is processed once or not at all.
A file of results stands for a file of alerts, with its name and its rows in their order. Offsets
of a claim that have no result are gaps, `not_delivered`: the archive has no alert there, or the
alert was not wanted.

The work that remains is what the archive's ledger has and this one lacks; there is no cursor that
could be wrong. `position.json` only saves comparing again what has long been done.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from finkray.errors import ServiceError
from finkray.ledger.lease import LEASE_PATH
from finkray.services.contract import RESULT_COLUMNS
from finkray.storage.contract import Storage
from finkray.storage.layout import ALERTS_FOLDER

SCIENCE_FOLDER = "science"
RESULTS_FOLDER = "results"
ABOUT_PATH = "about.json"
POSITION_PATH = "position.json"

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class ServiceDescription:
    """The service that computed results; written once, never changed.

    Attributes
    ----------
    service, version
        of the service
    spec
        the service as a command named it, as ``mymodule:Bright``
    columns
        columns that it reads
    output
        columns that it adds
    inputs
        results of other services that it reads, as ``classify`` or ``classify/2``
    """

    service: str
    version: str
    spec: str
    columns: tuple[str, ...]
    output: pa.Schema
    inputs: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """Return the bytes of the file."""
        raw = {name: getattr(self, name) for name in self.__slots__ if name != "output"}
        raw |= {"format": _FORMAT, "output": self.output.serialize().to_pybytes().hex()}
        raw["output_in_words"] = {field.name: str(field.type) for field in self.output}
        return json.dumps(raw, indent=1).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> "ServiceDescription":
        """Make a description of the bytes that `to_bytes` returned.

        Raises
        ------
        ServiceError
            if the bytes do not describe a service
        """
        try:
            raw = json.loads(data)
            if raw.pop("format") != _FORMAT:
                raise ServiceError(f"{ABOUT_PATH} was written by a later version of finkray")
            del raw["output_in_words"]
            raw["columns"] = tuple(raw["columns"])
            raw["inputs"] = tuple(raw.get("inputs", ()))  # older files lack it
            raw["output"] = pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(raw["output"])))
            return cls(**raw)
        except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise ServiceError(f"{ABOUT_PATH} does not describe a service: {error}") from error


def result_schema(output: pa.Schema) -> pa.Schema:
    """Return the columns of results: those of all services, then the service's own."""
    nullable = [field.with_nullable(True) for field in output]  # noqa: FBT003
    return pa.schema([*RESULT_COLUMNS, *nullable])


def result_path(alerts_path: str) -> str:
    """Return the path of the results for a file of alerts, from the folder of the results."""
    return f"{RESULTS_FOLDER}/{alerts_path.removeprefix(f'{ALERTS_FOLDER}/')}"


def alerts_path(result_path: str) -> str:
    """Return the path in the archive of the file of alerts that a file of results belongs to."""
    return f"{ALERTS_FOLDER}/{result_path.removeprefix(f'{RESULTS_FOLDER}/')}"


def store_folder(name: str, version: str) -> str:
    """Return the folder of results, from the archive's folder."""
    return f"{SCIENCE_FOLDER}/{name}/{version}"


def read_description(store: Storage) -> ServiceDescription | None:
    """Return the service that computed the results; None if there are no results."""
    data = store.read(ABOUT_PATH)
    return None if data is None else ServiceDescription.from_bytes(data)


@dataclass(frozen=True, slots=True)
class ResultsStore:
    """The results of one version of a service.

    Attributes
    ----------
    name, version
        of the folder
    storage
        the folder
    about
        the service
    """

    name: str
    version: str
    storage: Storage
    about: ServiceDescription


def list_stores(archive: Storage, name: str | None = None) -> Iterator[ResultsStore]:
    """Return the results of an archive, by name and version; all, or those of one name."""
    by_names = archive.folders(SCIENCE_FOLDER)
    for by_name in by_names if name is None else [f"{SCIENCE_FOLDER}/{name}"]:
        for folder in archive.folders(by_name):
            storage = archive.below(folder)
            about = read_description(storage)
            if about is not None:
                _, name, version = folder.split("/")
                yield ResultsStore(name, version, storage, about)


def find_store(archive: Storage, text: str) -> ResultsStore:
    """Return the results of a name: of the version after a slash, or of that which ran last.

    Raises
    ------
    ServiceError
        if there are none: names those that there are
    """
    name, _, version = text.partition("/")
    stores = list(list_stores(archive))
    matching = [store for store in stores if store.name == name and version in ("", store.version)]
    if not matching:
        known = ", ".join(f"{store.name}/{store.version}" for store in stores) or "none"
        raise ServiceError(
            f"there are no results {text!r} here; there are: {known}. A service makes them: "
            "finkray run, or finkray start"
        )
    return max(matching, key=last_written)


def last_written(store: ResultsStore) -> tuple[str, str]:
    """Return a sort key: the start of the last run ("" if unknown), then the version."""
    lease = store.storage.read(LEASE_PATH)
    return "" if lease is None else str(json.loads(lease)["since"]), store.version
