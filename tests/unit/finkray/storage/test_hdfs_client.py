"""Many calls to a name node that says nothing: few threads, and it is found again."""

import socket
import threading
import time
from contextlib import suppress

import pytest

from finkray.host.ports import LOOPBACK
from finkray.storage import hdfs_client
from finkray.storage.hdfs_client import Connection, make_client
from finkray.storage.hdfs_uri import HdfsUri


def test_calls_without_an_answer_do_not_pile_up() -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        uri = HdfsUri(f"{LOOPBACK}:{silent.getsockname()[1]}", "")
        options = {"dfs.client.failover.max.attempts": 1}
        connection = Connection(lambda: make_client(uri, options))
        before = threading.active_count()
        for _ in range(hdfs_client._LATE_CALLS + 3):
            with pytest.raises(TimeoutError, match="no answer within"):
                connection.call(0.01, _look)
        # Now one at a time tries; others are refused at once.
        probe = threading.Thread(target=_probe, args=(connection,), daemon=True)
        probe.start()
        time.sleep(0.1)
        started_s = time.monotonic()
        with pytest.raises(TimeoutError, match="earlier calls are without an answer"):
            connection.call(0.5, _look)
        assert time.monotonic() - started_s < 0.4
        assert threading.active_count() <= before + hdfs_client._LATE_CALLS + 5
        probe.join()
    # The listener is gone, so the library ends its waiting calls.
    ends_s = time.monotonic() + 30
    while threading.active_count() > before and time.monotonic() < ends_s:
        time.sleep(0.05)
    assert connection.call(5, lambda _, __: "answered") == "answered"


def _probe(connection: Connection) -> None:
    with suppress(TimeoutError):
        connection.call(0.5, _look)


def _look(client: object, _: object) -> object:
    return client.get_file_info("/")  # type: ignore[attr-defined]
