"""Multipart uploads that stay open until another process completes them, on stores that speak S3.

An open upload is in no list, and its object cannot be read. obstore opens and completes an upload
in one call, so these requests are sent here, by Python's own HTTP client. They need keys that are
given (`Keys.find`): a role of the machine, which obstore finds by itself, is not looked for.
"""

import functools
import hashlib
import http.client
import os
import random
import re
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from html import unescape
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

from finkray.storage.object_client import (
    RETRY_S,
    TIMEOUT_S,
    UPLOAD_TIMEOUTS,
    Option,
    is_protected,
    seconds,
)
from finkray.storage.s3_signature import UNSIGNED_PAYLOAD, Keys, query_string, signed_headers

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 5.0
_TRY_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_UPLOAD_ID: Final = re.compile(r"<UploadId>([^<]+)</UploadId>")


class S3Refusal(OSError):
    """An answer of a store that is not the expected one; its text is as that of obstore."""


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    text: str


class S3Uploads:
    """Sends the requests of multipart uploads of one part; for several threads.

    Every request may be tried again by itself: a second upload of the part replaces the first, and
    whether an upload was completed is seen by its object alone.

    Parameters
    ----------
    bucket
        the bucket
    options
        of the archive, with the endpoint
    keys
        to sign with
    """

    def __init__(self, bucket: str, options: Mapping[str, Option], keys: Keys) -> None:
        region = str(options.get("region") or os.environ.get("AWS_REGION") or "us-east-1")
        endpoint = str(options.get("endpoint") or f"https://s3.{region}.amazonaws.com")
        parts = urlsplit(endpoint)
        hosted = str(options.get("virtual_hosted_style_request", "")).lower() == "true"
        self._folder = parts.path.rstrip("/") + ("" if hosted else f"/{quote(bucket)}")
        self._host = parts.netloc
        self._is_tls = parts.scheme == "https"
        self._signs_payload = not is_protected(endpoint)
        self._region, self._keys = region, keys
        self._timeout_s = seconds(options, "timeout_s", TIMEOUT_S) * UPLOAD_TIMEOUTS
        self._retry_s = seconds(options, "retry_s", RETRY_S)
        certificate = options.get("root_certificate_file")
        self._tls = (
            ssl.create_default_context(cafile=None if certificate is None else str(certificate))
            if self._is_tls
            else None
        )
        self._idle: list[http.client.HTTPConnection] = []
        self._process_id = os.getpid()

    def begin(self, key: str, metadata: Mapping[str, str]) -> str:
        """Open an upload to a key; the object will have the metadata. Return the upload's id."""
        headers = {f"x-amz-meta-{name}": value for name, value in metadata.items()}
        answer = self._send("POST", key, {"uploads": ""}, headers=headers)
        found = _UPLOAD_ID.search(answer.text)
        if found is None:
            raise S3Refusal(f"no id of an upload in the answer: {answer.text[:200]}")
        return unescape(found[1])

    def put(self, key: str, upload_id: str, data: bytes | memoryview) -> str:
        """Send the only part of an upload; return its ETag."""
        query = {"partNumber": "1", "uploadId": upload_id}
        return self._send("PUT", key, query, data=data).headers["etag"]

    def complete(self, key: str, upload_id: str, e_tag: str) -> bool:
        """Complete an upload, unless the key is taken; return False if the upload is gone.

        Neither answer says whose object there is now, if any: look at it.
        """
        body = (
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
            f"<ETag>{e_tag}</ETag></Part></CompleteMultipartUpload>"
        )
        answer = self._send(
            "POST",
            key,
            {"uploadId": upload_id},
            headers={"if-none-match": "*"},
            data=body.encode(),
            expected=frozenset({200, 404, 409, 412}),
        )
        if answer.status == 404 and "<Code>NoSuchUpload</Code>" not in answer.text:
            raise _refusal(answer)
        return answer.status != 404

    def abort(self, key: str, upload_id: str) -> None:
        """Give an upload up; one that is gone is no error."""
        query = {"uploadId": upload_id}
        self._send("DELETE", key, query, expected=frozenset({200, 204, 404}))

    def _send(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        *,
        headers: Mapping[str, str] | None = None,
        data: bytes | memoryview = b"",
        expected: frozenset[int] = frozenset({200}),
    ) -> _Answer:
        """Send a request, again and again while the store is away or busy.

        Raises
        ------
        OSError
            if there is no expected answer in time
        """
        ends_s = time.monotonic() + self._retry_s
        pause_s = _FIRST_PAUSE_S
        while True:
            problem: Exception
            try:
                answer = self._ask(method, key, query, headers or {}, data)
            except (OSError, http.client.HTTPException) as error:
                problem = error
            else:
                # An answer of 200 to a completion may have an error in it.
                failed = answer.status == 200 and "<Error>" in answer.text
                if answer.status in expected and not failed:
                    return answer
                problem = _refusal(answer)
                if answer.status not in _TRY_AGAIN and not failed:
                    raise problem
            if time.monotonic() + pause_s > ends_s:
                if isinstance(problem, S3Refusal):
                    raise problem
                raise OSError(f"error sending request: timed out or cannot connect: {problem}")
            time.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311 - against a lockstep
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _ask(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        data: bytes | memoryview,
    ) -> _Answer:
        path = f"{self._folder}/{quote(key)}"
        signed = signed_headers(
            method,
            path,
            query,
            {"host": self._host, **headers},
            payload_sha256=(
                hashlib.sha256(data).hexdigest() if self._signs_payload else UNSIGNED_PAYLOAD
            ),
            keys=self._keys,
            region=self._region,
            now=datetime.now(UTC),
        )
        connection = self._connection()
        try:
            connection.request(
                method,
                f"{path}?{query_string(query)}",
                body=data,
                headers={**signed, "content-length": str(len(data))},
            )
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
            found = {name.lower(): value for name, value in response.getheaders()}
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return _Answer(response.status, found, text)

    def _connection(self) -> http.client.HTTPConnection:
        if self._process_id != os.getpid():  # a fork must not share its parent's connections
            self._idle, self._process_id = [], os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            pass
        if self._tls is not None:
            return http.client.HTTPSConnection(
                self._host, timeout=self._timeout_s, context=self._tls
            )
        return http.client.HTTPConnection(self._host, timeout=self._timeout_s)


def find_keys(options: Mapping[str, Option]) -> Keys | None:
    """Return the keys that options or environment give; None if there are none."""

    def find(option: str) -> str:
        return str(options.get(option) or os.environ.get(f"AWS_{option.upper()}") or "")

    keys = Keys(find("access_key_id"), find("secret_access_key"), find("session_token"))
    return keys if keys.access_key_id and keys.secret_access_key else None


@functools.lru_cache(maxsize=64)
def shared_uploads(bucket: str, options: tuple[tuple[str, Option], ...], keys: Keys) -> S3Uploads:
    """Return what sends the requests of this process to a bucket: its connections are reused."""
    return S3Uploads(bucket, dict(options), keys)


def _refusal(answer: _Answer) -> S3Refusal:
    return S3Refusal(f"status code: {answer.status}: {answer.text[:1000]}")
