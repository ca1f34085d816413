"""A proxy before a real object store, which loses answers or takes the store's conditions away."""

import enum
import http.client
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import unquote

import obstore

from finkray.host.ports import LOOPBACK
from finkray.storage.object_client import make_client
from finkray.storage.object_publishing import CREATOR
from finkray.storage.object_uri import ObjectUri
from tests.support.object_store import ObjectStore

_HOP_HEADERS: Final = ("transfer-encoding", "connection", "content-length")
_WRITES: Final = ("PUT", "POST", "DELETE")


class Fault(enum.Enum):
    """What the proxy does to requests that write."""

    NONE = "pass them on"
    LOSE_ANSWERS = "carry each out, and lose every fourth answer: cut, or 500"
    CLAIM_COMPLETIONS = "answer the first completion of each object with success, and do nothing"
    IGNORE_CONDITIONS = "write without If-None-Match"
    LOOK_THEN_WRITE = "look whether the object exists, and write without the condition"
    NEVER_ANSWER = "carry out nothing, and hold the connection"


class StoreProxy(ThreadingHTTPServer):
    """The proxy: a server of this process, before a store on this machine.

    Requests that it changes must be signed anew, so it sends those by a client of its own.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, store: ObjectStore, fault: Fault) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.store = store
        self.fault = fault
        # As Amazon charges: deletions are free.
        self.count = itertools.count(1)
        self.ending = threading.Event()
        self.lost = 0
        self.claimed: set[str] = set()
        self.requests: Counter[str] = Counter()

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.server_address[1]}"


@contextmanager
def running_proxy(store: ObjectStore, fault: Fault) -> Iterator[StoreProxy]:
    """Run a proxy before the store during a `with` block."""
    proxy = StoreProxy(store, fault)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.ending.set()
        proxy.shutdown()
        proxy.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StoreProxy

    def _pass_on(self) -> None:
        is_list = self.command == "GET" and "list-type=" in self.path
        is_delete = self.command == "DELETE" or self.path.endswith("?delete")
        is_dear = is_list or self.command in ("PUT", "POST")
        if not is_delete:
            self.server.requests["dear" if is_dear else "cheap"] += 1
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.fault if self.command in _WRITES else Fault.NONE
        if self.server.fault is Fault.NEVER_ANSWER:
            self.server.ending.wait()
            self.close_connection = True
            return
        liar = fault in (Fault.IGNORE_CONDITIONS, Fault.LOOK_THEN_WRITE)
        if liar and self.command == "PUT" and self.headers.get("If-None-Match"):
            self._write_without_condition(fault, body)
            return
        key, _, query = self.path.partition("?")
        completes = self.command == "POST" and "uploadId=" in query
        if fault is Fault.CLAIM_COMPLETIONS and completes and key not in self.server.claimed:
            self.server.claimed.add(key)
            tag = "CompleteMultipartUploadResult"
            self._answer(200, [], f'<{tag}><ETag>"claimed"</ETag></{tag}>'.encode())
            return
        try:
            answer, data = self._ask(body)
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # the store is down
            return
        if fault is Fault.LOSE_ANSWERS:
            number = next(self.server.count)
            if number % 4 == 0:
                self.server.lost += 1
                if number % 8:
                    self.close_connection = True
                    return
                self._answer(500, [], b"")
                return
        self._answer(answer.status, answer.getheaders(), data)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815

    def _write_without_condition(self, fault: Fault, body: bytes) -> None:
        bucket, _, key = unquote(self.path.partition("?")[0]).lstrip("/").partition("/")
        client = make_client(
            ObjectUri("s3", bucket, ""), self.server.store.options(), uploads=False
        )
        if fault is Fault.LOOK_THEN_WRITE:
            try:
                exists = bool(obstore.head(client, key))
            except FileNotFoundError:
                exists = False
            if exists:
                self._answer(412, [], b"<Error><Code>PreconditionFailed</Code></Error>")
                return
            time.sleep(0.02)
        word = self.headers.get(f"x-amz-meta-{CREATOR}", "")
        put = obstore.put(client, key, body, attributes={CREATOR: word}, use_multipart=False)
        self._answer(200, [("ETag", put["e_tag"] or "")], b"")

    def _ask(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection(LOOPBACK, self.server.store.port, timeout=60)
        try:
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                if name.lower() not in ("expect", "connection"):
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], data: bytes) -> None:
        length = str(len(data))
        self.send_response(status)
        for name, value in headers:
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value
            if name.lower() not in _HOP_HEADERS:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(OSError):
                self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - of the base class
        """Log nothing."""
