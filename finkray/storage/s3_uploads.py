"""Multipart uploads that stay open until another process completes them, on stores that speak S3.

An open upload is in no list, and its object cannot be read. obstore opens and completes an upload
in one call, so these requests are sent by botocore, which also finds the credentials of a machine's
role.
"""

import functools
import os
import random
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple, Self

from finkray.storage.object_client import (
    PUBLISH_OPTION,
    RETRY_S,
    TIMEOUT_S,
    UPLOAD_TIMEOUTS,
    Option,
    is_protected,
    seconds,
)

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 5.0
_TRY_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_TAKEN: Final = frozenset({409, 412})
"""Another completion is under way, or the key is taken."""

_CONNECTIONS: Final = 32

_KNOWN_OPTIONS: Final = frozenset(
    {
        "access_key_id",
        "endpoint",
        PUBLISH_OPTION,
        "region",
        "retry_s",
        "root_certificate_file",
        "secret_access_key",
        "session_token",
        "timeout_s",
        "virtual_hosted_style_request",
    }
)
"""obstore knows more, and other names for these: with such a one they could address two stores."""


class Address(NamedTuple):
    """Where the requests to a bucket go.

    Attributes
    ----------
    endpoint
        without the bucket; None for Amazon's
    region
        of the bucket
    is_virtual_hosted
        whether the bucket is in the host's name
    """

    endpoint: str | None
    region: str
    is_virtual_hosted: bool

    @classmethod
    def of(cls, bucket: str, options: Mapping[str, Option]) -> Self | None:
        """Return the address to which obstore sends its requests; None if that is not known."""
        if not _KNOWN_OPTIONS.issuperset(options):
            return None
        style = "virtual_hosted_style_request"
        hosted = str(options.get(style, os.environ.get(f"AWS_{style.upper()}"))).lower() == "true"
        endpoint = str(options.get("endpoint") or "")
        if hosted:  # obstore's endpoint has the bucket then, and botocore adds it
            endpoint = endpoint.replace(f"://{bucket}.", "://", 1)
        regions = (
            options.get("region"),
            *map(os.environ.get, ("AWS_REGION", "AWS_DEFAULT_REGION")),
        )
        region = next((str(region) for region in regions if region), "us-east-1")
        return cls(endpoint or None, region, hosted)


class S3Refusal(OSError):
    """An answer of a store that is not the expected one; its text is as that of obstore.

    Attributes
    ----------
    status
        of HTTP
    code
        of the store, such as NoSuchUpload; empty if it gave none
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"status code: {status}: <Code>{code}</Code> {message}")
        self.status = status
        self.code = code


class S3Uploads:
    """Sends the requests of multipart uploads of one part; for several threads.

    Every request may be tried again by itself: a second upload of the part replaces the first, and
    whether an upload was completed is seen by its object alone.

    Parameters
    ----------
    bucket
        the bucket
    options
        of the archive
    address
        of the bucket
    session
        of botocore, with credentials
    """

    def __init__(
        self, bucket: str, options: Mapping[str, Option], address: Address, session: Any
    ) -> None:
        from botocore.config import Config

        timeout_s = seconds(options, "timeout_s", TIMEOUT_S) * UPLOAD_TIMEOUTS
        self._bucket = bucket
        self._retry_s = seconds(options, "retry_s", RETRY_S)
        self._client: Any = session.create_client(
            "s3",
            region_name=address.region,
            endpoint_url=address.endpoint,
            verify=options.get("root_certificate_file"),
            config=Config(
                connect_timeout=min(5.0, timeout_s),
                read_timeout=timeout_s,
                max_pool_connections=_CONNECTIONS,
                # Tried again here, for a time: botocore counts.
                retries={"total_max_attempts": 1},
                # Not every store that speaks S3 knows the checksums that became the default.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={
                    "addressing_style": "virtual" if address.is_virtual_hosted else "path",
                    "payload_signing_enabled": not is_protected(address.endpoint or ""),
                },
            ),
        )

    def begin(self, key: str, metadata: Mapping[str, str]) -> str:
        """Open an upload to a key; the object will have the metadata. Return the upload's id."""
        answer = self._send(self._client.create_multipart_upload, Key=key, Metadata=dict(metadata))
        return str(answer["UploadId"])

    def put(self, key: str, upload_id: str, data: bytes) -> str:
        """Send the only part of an upload; return its ETag."""
        answer = self._send(
            self._client.upload_part, Key=key, UploadId=upload_id, PartNumber=1, Body=data
        )
        return str(answer["ETag"])

    def complete(self, key: str, upload_id: str, e_tag: str) -> bool:
        """Complete an upload, unless the key is taken; return False if the upload is gone.

        Neither answer says whose object there is now, if any: look at it.
        """
        try:
            self._send(
                self._client.complete_multipart_upload,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": e_tag}]},
                IfNoneMatch="*",
            )
        except S3Refusal as refusal:
            if refusal.code == "NoSuchUpload":
                return False
            if refusal.status not in _TAKEN:
                raise
        return True

    def abort(self, key: str, upload_id: str) -> None:
        """Give an upload up; one that is gone is no error."""
        try:
            self._send(self._client.abort_multipart_upload, Key=key, UploadId=upload_id)
        except S3Refusal as refusal:
            if refusal.status != HTTPStatus.NOT_FOUND:
                raise

    def _send(self, request: Callable[..., Any], **arguments: Any) -> Any:
        """Send a request, again and again while the store is away or busy; return its answer.

        Raises
        ------
        S3Refusal
            if the answer is an error
        OSError
            if there is no answer in time
        """
        from botocore.exceptions import BotoCoreError, ClientError

        ends_s = time.monotonic() + self._retry_s
        pause_s = _FIRST_PAUSE_S
        while True:
            problem: OSError
            try:
                return request(Bucket=self._bucket, **arguments)
            except ClientError as error:
                problem = _refusal(error)
                if problem.status not in _TRY_AGAIN:
                    raise problem from error
            except BotoCoreError as error:
                problem = OSError(f"error sending request: timed out or cannot connect: {error}")
            if time.monotonic() + pause_s > ends_s:
                raise problem
            time.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311 - against a lockstep
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def shared_uploads(bucket: str, options: Mapping[str, Option]) -> S3Uploads | None:
    """Return what sends the requests of this process to a bucket: its connections are reused.

    Returns
    -------
    S3Uploads | None
        None without credentials, without botocore, and with options that obstore alone knows
    """
    # A fork must not share its parent's connections.
    return _shared(bucket, tuple(sorted(options.items())), os.getpid())


@functools.lru_cache(maxsize=64)
def _shared(
    bucket: str, options: tuple[tuple[str, Option], ...], _process_id: int
) -> S3Uploads | None:
    given = dict(options)
    address = Address.of(bucket, given)
    try:
        session = _session(given)
    except ModuleNotFoundError:
        return None
    if address is None or not session.get_credentials():
        return None
    return S3Uploads(bucket, given, address, session)


def _session(options: Mapping[str, Option]) -> Any:
    """Return a session of botocore with the credentials that are given, else those it finds."""
    from botocore.session import get_session

    session = get_session()
    if options.get("access_key_id"):
        session.set_credentials(
            *(options.get(name) for name in ("access_key_id", "secret_access_key", "session_token"))
        )
    return session


def _refusal(error: Any) -> S3Refusal:
    found = error.response.get("Error", {})
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    # An answer of 200 to a completion may have an error in it.
    status = status if status >= HTTPStatus.BAD_REQUEST else HTTPStatus.INTERNAL_SERVER_ERROR
    code = str(found.get("Code", ""))
    return S3Refusal(status, "" if code.isdigit() else code, str(found.get("Message", ""))[:1000])
