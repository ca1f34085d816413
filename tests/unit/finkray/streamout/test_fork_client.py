"""The fork server, as the process knows it that needs filter processes."""

import os

import psutil
import pytest

from finkray.errors import FilterError
from finkray.streamout.fork_client import ForkServer


def test_a_fork_server_that_hangs_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    output = os.open(os.devnull, os.O_WRONLY)
    before = set(psutil.Process().children())
    server = ForkServer(nice=5, send_s=10)
    try:
        pid, connection = server.fork(output)
        assert psutil.pid_exists(pid)
        connection.close()
        (process,) = set(psutil.Process().children()) - before
        process.suspend()
        monkeypatch.setattr("finkray.streamout.fork_client.FORK_S", 0.5)
        with pytest.raises(FilterError, match="has ended, or hangs"):
            server.fork(output)
    finally:
        server.close()
        os.close(output)
    assert not process.is_running()
