"""Files that a worker opens for its child, from every storage."""

import os
import socket
import uuid
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finkray.errors import StorageError
from finkray.serving.handover import (
    Handover,
    open_for_child,
    read_handed_over,
    receive_descriptor,
    send_descriptor,
)
from finkray.storage.contract import Storage
from finkray.storage.local import LocalStorage
from finkray.storage.memory import MemoryStorage

ALERTS = pa.table(
    {
        "kafka_offset": [1, 2, 3],
        "candidate": [{"ra": 10.0, "dec": 5.0}, None, {"ra": 0.5, "dec": None}],
        "cutout": [b"1" * 5000, b"2" * 5000, None],
    }
)


@pytest.fixture(params=["local", "memory"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    in_memory = request.param == "memory"
    storage = MemoryStorage(uuid.uuid4().hex) if in_memory else LocalStorage(tmp_path)
    with storage.stage("alerts/one.parquet") as sink:
        pq.write_table(ALERTS, sink)
    with storage.stage("alerts/torn.parquet") as sink:
        sink.write(b"PAR1 and no more")
    return storage


@pytest.fixture
def ends() -> Iterator[tuple[Connection, Connection]]:
    first, second = (Connection(end.detach()) for end in socket.socketpair())
    with first, second:
        yield first, second


def passed(ends: tuple[Connection, Connection], handover: Handover) -> Handover:
    """The handover as it arrives at the other end."""
    send_descriptor(ends[0], handover, os.getpid())
    return handover._replace(descriptor=receive_descriptor(ends[1]))


def read_whole(archive: Storage, path: str, ends: tuple[Connection, Connection]) -> pa.Table:
    handover = open_for_child(archive, path, ["kafka_offset"])
    return read_handed_over(passed(ends, handover), ["kafka_offset"])


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_the_child_reads_what_the_worker_opened(
    archive: Storage, ends: tuple[Connection, Connection]
) -> None:
    columns = ("cutout", "candidate.ra", "kafka_offset", "none")
    handover = open_for_child(archive, "alerts/one.parquet", columns)
    table = read_handed_over(passed(ends, handover), columns)
    assert table.to_pydict() == {
        "cutout": ALERTS["cutout"].to_pylist(),
        "candidate.ra": [10.0, None, 0.5],
        "kafka_offset": [1, 2, 3],
        "none": [None] * 3,
    }


def test_a_column_that_the_file_lacks_has_the_type_null(
    archive: Storage, ends: tuple[Connection, Connection]
) -> None:
    handover = open_for_child(archive, "alerts/one.parquet", ["flux", "kafka_offset"])
    table = read_handed_over(passed(ends, handover), ["flux", "kafka_offset"])
    assert table.schema.types == [pa.null(), pa.int64()]
    assert table.num_rows == 3


def test_a_file_in_a_folder_is_handed_over_as_it_is_and_others_in_memory(archive: Storage) -> None:
    handover = open_for_child(archive, "alerts/one.parquet", ["kafka_offset"])
    with os.fdopen(handover.descriptor, "rb") as file:
        is_parquet = file.read(4) == b"PAR1"
    is_local = isinstance(archive, LocalStorage)
    assert (handover.form == "parquet") == is_parquet == is_local


def test_a_file_that_cannot_be_read_is_named_and_leaves_no_descriptor_open(
    archive: Storage, ends: tuple[Connection, Connection]
) -> None:
    before = open_descriptors()
    with pytest.raises(StorageError, match=r"alerts/none\.parquet cannot be read"):
        open_for_child(archive, "alerts/none.parquet", ["kafka_offset"])
    with pytest.raises((StorageError, pa.ArrowInvalid)):
        read_whole(archive, "alerts/torn.parquet", ends)
    read_whole(archive, "alerts/one.parquet", ends)
    assert open_descriptors() == before
