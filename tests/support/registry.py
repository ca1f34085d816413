"""A local schema registry with the requests of Confluent's API that finkray and readers make."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from finkray.streamout.compatibility import compatibility_problems


@dataclass
class Registry:
    """A registry: its schemas, and the paths of the requests that it received.

    `schemas` has the answer for each id, `subjects` for each version of a subject. With `broken`
    each answer is an error; with `login` a request needs this name and password. A subject's schema
    that is registered must let its readers read messages of the one before: `BACKWARD`.
    """

    url: str = ""
    schemas: dict[int, dict[str, Any]] = field(default_factory=dict)
    subjects: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    requested: list[str] = field(default_factory=list)
    broken: bool = False
    login: tuple[str, str] | None = None

    def answer(
        self, path: str, authorization: str | None, body: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Return status and body for a request; one with a body is a POST."""
        self.requested.append(path)
        if self.broken:
            return 503, {"error_code": 50301, "message": "resting"}
        if self.login is not None:
            expected = "Basic " + base64.b64encode(":".join(self.login).encode()).decode()
            if authorization != expected:
                return 401, {"error_code": 40101, "message": "Unauthorized"}
        parts = path.split("?", maxsplit=1)[0].strip("/").split("/")
        return self._found(parts) if body is None else self._posted(parts, body["schema"])

    def _found(self, parts: list[str]) -> tuple[int, dict[str, Any]]:
        """Return the answer to a GET."""
        match parts:
            case ["schemas", "ids", number] if int(number) in self.schemas:
                return 200, self.schemas[int(number)]
            case ["subjects", name, "versions", number] if (name, int(number)) in self.subjects:
                subject = self.subjects[name, int(number)]
                return 200, {"subject": name, "version": int(number), "id": 1, **subject}
        return 404, {"error_code": 40403, "message": "Schema not found"}

    def _posted(self, parts: list[str], text: str) -> tuple[int, dict[str, Any]]:
        """Return the answer to a POST of a schema."""
        match parts:
            case ["subjects", name, "versions"]:
                return self._register(name, text)
            case ["compatibility", "subjects", name, "versions", "latest"] if self._versions(name):
                problems = _problems(text, self._versions(name)[-1])
                return 200, {"is_compatible": not problems}
        return 404, {"error_code": 40401, "message": "Subject not found"}

    def _versions(self, subject: str) -> list[str]:
        """Return the schemas of a subject, the oldest first."""
        found = sorted(number for name, number in self.subjects if name == subject)
        return [self.subjects[subject, number]["schema"] for number in found]

    def _register(self, subject: str, text: str) -> tuple[int, dict[str, Any]]:
        versions = self._versions(subject)
        if versions and text not in versions and _problems(text, versions[-1]):
            return 409, {"error_code": 409, "message": "Schema being registered is incompatible"}
        ids = [number for number, schema in self.schemas.items() if schema["schema"] == text]
        schema_id = ids[0] if ids else len(self.schemas) + 1
        self.schemas[schema_id] = {"schema": text}
        if text not in versions:
            self.subjects[subject, len(versions) + 1] = {"schema": text, "id": schema_id}
        return 200, {"id": schema_id}


def _problems(new: str, old: str) -> list[str]:
    return compatibility_problems(json.loads(new), json.loads(old))


@contextmanager
def running_registry() -> Iterator[Registry]:
    """Run a registry without schemas on a free loopback port."""
    registry = Registry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, posted: dict[str, Any] | None) -> None:
            authorization = self.headers.get("Authorization")
            status, body = registry.answer(self.path, authorization, posted)
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
