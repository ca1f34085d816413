"""Read and overwrite files of any storage, for tests that look at files or damage them."""

import pyarrow as pa
import pyarrow.parquet as pq

from finkray.storage.contract import Storage


def read_bytes(storage: Storage, path: str) -> bytes:
    """Return the content of a file that exists."""
    data = storage.read(path)
    assert data is not None, path
    return data


def read_parquet(storage: Storage, path: str) -> pa.Table:
    with storage.open(path) as source:
        return pq.read_table(source, partitioning=None)


def overwrite_parquet(storage: Storage, path: str, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    storage.replace(path, sink.getvalue().to_pybytes())


def read_folder(storage: Storage, folder: str) -> list[pa.Table]:
    """Return the tables of all Parquet files below a folder, by path."""
    paths = sorted(file.path for file in storage.walk(folder))
    return [read_parquet(storage, path) for path in paths if path.endswith(".parquet")]


def keep_rows(storage: Storage, path: str, rows: list[int]) -> None:
    """Replace a file by one that has only these of its rows."""
    table = read_parquet(storage, path)
    overwrite_parquet(storage, path, table.take(pa.array(rows, pa.int64())))
