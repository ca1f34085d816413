"""What an error of an object store means, and what to do about it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from finkray.errors import StorageError

_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_STATUS: Final = re.compile(r"status code:? (\d{3})|\b([345]\d{2}) [A-Z][a-z]+")

_REGION = "the bucket is in another region: set archive.options.region (or AWS_REGION) to its own"
_KEYS = (
    "the store does not accept the credentials: check access_key_id and secret_access_key in "
    "archive.options or the environment"
)
_EXPIRED = (
    "the credentials have expired: renew them; on a cloud's machine use its role, which the "
    "library renews by itself"
)
_CLOCK = (
    "the clock of this machine differs from the store's by more than 15 minutes: set the clock "
    "(chrony or systemd-timesyncd)"
)
_RIGHT = (
    "no right: give these credentials reading, writing, deleting and listing below the prefix "
    "(docs/storage.md has a policy)"
)
_BUSY = "the store is overloaded or throttles requests; they are tried again"
_FULL = "the store is full or its quota is used up: make room, the archive then continues"
_LACKS = "the store does not know this request: an archive needs one with conditional writes"

_NO_CREDENTIALS = (
    "no credentials were found: give access_key_id and secret_access_key in archive.options or the "
    "environment, or a role to this machine"
)
_AUTHORITY = "set archive.options.root_certificate_file to the certificate of its authority"

_CREDENTIAL_HOSTS: Final = ("169.254.169.254", "metadata.google")
"""Hosts that the library asks for the role of the machine when it finds no other credentials."""

_NO_ANSWER: Final = ("connect", "timed out", "timeout", "dns", "sending")

_NO_BUCKET: Final = frozenset({"NoSuchBucket", "ContainerNotFound"})

_NO_OBJECT: Final = frozenset({"", "NoSuchKey", "NoSuchUpload", "BlobNotFound", "NotFound"})
"""Codes of a 404 that is about the object. The status alone does not say so: versitygw sends a 404
for an unknown access key too. An answer to HEAD has no code."""

_ADVICE: Final = {
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "InvalidRegion": _REGION,
    "InvalidAccessKeyId": _KEYS,
    "SignatureDoesNotMatch": _KEYS,
    "XAdminUserNotFound": _KEYS,  # of versitygw
    "AuthenticationFailed": _KEYS,
    "ExpiredToken": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "InvalidToken": _EXPIRED,
    "RequestTimeTooSkewed": _CLOCK,
    "RequestExpired": _CLOCK,
    "AccessDenied": _RIGHT,
    "AllAccessDisabled": _RIGHT,
    "AuthorizationFailure": _RIGHT,
    "SlowDown": _BUSY,
    "ServerBusy": _BUSY,
    "ServiceUnavailable": _BUSY,
    "TooManyRequests": _BUSY,
    "QuotaExceeded": _FULL,
    "InsufficientStorage": _FULL,
    "NotImplemented": _LACKS,
    "KeyTooLongError": "the key is longer than 1024 bytes: choose a shorter prefix",
    "KMS.DisabledException": "the key that encrypts the bucket is disabled: enable it",
}

_BY_STATUS: Final = {
    301: _REGION,
    401: _KEYS,
    403: _RIGHT,
    429: _BUSY,
    501: _LACKS,
    503: _BUSY,
    507: _FULL,
}


class Refusal(NamedTuple):
    """Why a store refused a request, or did not answer.

    Attributes
    ----------
    code
        of the store, such as NoSuchBucket; empty if it gave none
    status
        of HTTP; None without an answer
    text
        all that the library says
    """

    code: str
    status: int | None
    text: str

    @classmethod
    def of(cls, error: BaseException) -> "Refusal":
        """Read the error of the library."""
        text = str(error)
        code = _CODE.search(text)
        status = _STATUS.search(text)
        number = (status[1] or status[2]) if status else None
        return cls(code[1] if code else "", int(number) if number else None, text)

    def advice(self, bucket: str, endpoint: str) -> str:
        """Return what is wrong and what to do. Pure."""
        text = self.text.casefold()
        advice = ""
        if self.code in _NO_BUCKET:
            advice = f"{endpoint} has no bucket {bucket}: make it, or correct archive.uri"
        elif self.code in _ADVICE:
            advice = f"{_ADVICE[self.code]} ({self.code})"
        elif any(host in text for host in _CREDENTIAL_HOSTS):
            advice = _NO_CREDENTIALS
        elif self.status in _BY_STATUS:
            advice = f"{_BY_STATUS[self.status]} (HTTP {self.status})"
        elif "certificate" in text:
            advice = f"the certificate of {endpoint} is not trusted: {_AUTHORITY}"
        elif self.status is None and any(sign in text for sign in _NO_ANSWER):
            advice = f"{endpoint} does not answer: is the store up, and the address right?"
        return advice or _first_line(self.text)


def is_no_object(error: FileNotFoundError) -> bool:
    """Return whether an object is missing, and not its bucket or the user."""
    return Refusal.of(error).code in _NO_OBJECT


@contextmanager
def explained(what: str, target: str, bucket: str, endpoint: str) -> Iterator[None]:
    """Turn an error of the library into a StorageError that says what to do.

    Parameters
    ----------
    what
        the verb, as in "cannot create s3://…"
    target
        URI of the object or folder
    bucket, endpoint
        for the advice
    """
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:
        advice = Refusal.of(error).advice(bucket, endpoint)
        raise StorageError(f"cannot {what} {target}: {advice}") from error


def _first_line(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else "the store refused"
    return line if len(line) <= 300 else line[:297] + "..."
