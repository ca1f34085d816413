"""A local schema registry with the requests of Confluent's API that read schemas."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Registry:
    """A registry: its schemas, and the paths of the requests that it received.

    `schemas` has the answer for each id, `subjects` for each version of a subject. With `broken`
    each answer is an error; with `login` a request needs this name and password.
    """

    url: str = ""
    schemas: dict[int, dict[str, Any]] = field(default_factory=dict)
    subjects: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    requested: list[str] = field(default_factory=list)
    broken: bool = False
    login: tuple[str, str] | None = None

    def answer(self, path: str, authorization: str | None) -> tuple[int, dict[str, Any]]:
        """Return status and body for a request."""
        self.requested.append(path)
        if self.broken:
            return 503, {"error_code": 50301, "message": "resting"}
        if self.login is not None:
            expected = "Basic " + base64.b64encode(":".join(self.login).encode()).decode()
            if authorization != expected:
                return 401, {"error_code": 40101, "message": "Unauthorized"}
        match path.split("?", maxsplit=1)[0].strip("/").split("/"):
            case ["schemas", "ids", number] if int(number) in self.schemas:
                return 200, self.schemas[int(number)]
            case ["subjects", name, "versions", number] if (name, int(number)) in self.subjects:
                subject = self.subjects[name, int(number)]
                return 200, {"subject": name, "version": int(number), "id": 1, **subject}
        return 404, {"error_code": 40403, "message": "Schema not found"}


@contextmanager
def running_registry() -> Iterator[Registry]:
    """Run a registry without schemas on a free loopback port."""
    registry = Registry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = registry.answer(self.path, self.headers.get("Authorization"))
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        registry.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield registry
        finally:
            server.shutdown()
