"""A web application on loopback, served by the real server."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from finkray.host.ports import LOOPBACK


@contextmanager
def listening(app: ASGIApp) -> Iterator[tuple[str, int, Callable[[], None]]]:
    """Serve an application; yield its host, its port, and a function that stops the server."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})

        def stop() -> None:
            server.should_exit = True
            thread.join()

        thread.start()
        try:
            yield LOOPBACK, listener.getsockname()[1], stop
        finally:
            stop()
