"""A model as files: reference rows and thumbs as Parquet, the rest as JSON. Nothing is pickled."""

import io
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from finkray.errors import OutlierError
from finkray.outliers.feature_list import feature_list
from finkray.outliers.model import OutlierModel
from finkray.storage.contract import Storage
from finkray.storage.native_buffer import native_buffer
from finkray.storage.opening import StorageLocation, open_storage

MANIFEST: Final = "manifest.json"
REFERENCE: Final = "reference.parquet"
THUMBS: Final = "thumbs.parquet"


class Manifest(BaseModel):
    """What the files of a model are.

    Attributes
    ----------
    format
        of the files
    survey, seed, digest
        of the model
    features
        version of the list of features
    rows, thumbs
        numbers of rows of the two files
    facts
        how the model was built, for people
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int = 1
    survey: str
    seed: int
    digest: str
    features: str
    rows: int
    thumbs: int
    facts: dict[str, Any] = {}


def save(
    model: OutlierModel,
    folder: Storage | str | Path,
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> Manifest:
    """Write a model into a folder; the manifest comes last, and without it there is no model.

    A folder that has the same model stays as it is.

    Parameters
    ----------
    model
        the model
    folder
        its path, or its storage
    facts
        how the model was built, for people

    Raises
    ------
    StorageError
        If the storage refuses.
    """
    storage = _storage_of(folder)
    manifest = Manifest(
        survey=model.survey,
        seed=model.seed,
        digest=model.digest,
        features=model.about.version,
        rows=model.reference.num_rows,
        thumbs=model.thumbs.num_rows,
        facts=dict(facts),
    )
    storage.replace(REFERENCE, _parquet(model.reference))
    storage.replace(THUMBS, _parquet(model.thumbs))
    storage.create(MANIFEST, manifest.model_dump_json(indent=1).encode())
    return manifest


def read_manifest(storage: Storage) -> Manifest | None:
    """Return the manifest of the model in a folder; None if there is no model.

    Raises
    ------
    OutlierError
        If it is damaged.
    StorageError
        If it cannot be read now.
    """
    data = storage.read(MANIFEST)
    if data is None:
        return None
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        raise _damaged(
            storage, f"{MANIFEST} is not readable ({error.error_count()} faults)"
        ) from error


def load(folder: Storage | str | Path, survey: str | None = None, threads: int = 1) -> OutlierModel:
    """Read the model of a folder, and check that it is the one that was written.

    Parameters
    ----------
    folder
        its path, or its storage
    survey
        that the model must be of; None is any
    threads
        how many threads score

    Raises
    ------
    OutlierError
        If there is no model, it is damaged, of another survey, or of another list of features.
    StorageError
        If it cannot be read now.
    """
    storage = _storage_of(folder)
    manifest = read_manifest(storage)
    if manifest is None:
        raise OutlierError(f"there is no model in {storage.uri}: it has no {MANIFEST}")
    if survey is not None and manifest.survey != survey:
        raise OutlierError(
            f"the model in {storage.uri} is of the survey {manifest.survey}, not of {survey}"
        )
    about = feature_list(manifest.survey)
    if manifest.features != about.version:
        raise OutlierError(
            f"the model in {storage.uri} has the features {manifest.features}, this version of "
            f"finkray those of {about.version}: train it again (finkray outliers train)"
        )
    model = OutlierModel(
        manifest.survey, manifest.seed, _read(storage, REFERENCE), _read(storage, THUMBS), threads
    )
    try:
        digest = model.digest
    except (KeyError, ValueError, pa.ArrowException) as error:
        raise _damaged(storage, str(error)) from error
    if digest != manifest.digest:
        raise _damaged(storage, f"its rows have the digest {digest}, expected {manifest.digest}")
    return model


def _storage_of(folder: Storage | str | Path) -> Storage:
    if isinstance(folder, str | Path):
        return open_storage(StorageLocation(str(Path(folder).absolute())))
    return folder


def _parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def _read(storage: Storage, path: str) -> pa.Table:
    data = storage.read(path)
    if data is None:
        raise _damaged(storage, f"{path} is missing")
    try:
        return pq.read_table(
            pa.BufferReader(native_buffer(data)), partitioning=None
        ).combine_chunks()
    except (OSError, pa.ArrowException) as error:
        raise _damaged(storage, f"{path} is not readable: {error}") from error


def _damaged(storage: Storage, why: str) -> OutlierError:
    return OutlierError(
        f"the model in {storage.uri} is damaged: {why}. Use another one (finkray outliers models), "
        "or train it again"
    )
