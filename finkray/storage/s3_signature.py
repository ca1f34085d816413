"""Sign a request to a store that speaks S3: AWS Signature Version 4. Pure.

The library obstore signs what it sends, and can neither leave a multipart upload open nor complete
one that another process began. Only the requests of `finkray.storage.s3_uploads` are signed here.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import quote

UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


class Keys(NamedTuple):
    """What a request is signed with."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""

    def __repr__(self) -> str:
        return f"Keys({self.access_key_id!r}, ...)"


def query_string(query: Mapping[str, str]) -> str:
    """Return the query of a URL, in the order and encoding that the signature prescribes."""
    encoded = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in encoded)


def signed_headers(
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    *,
    payload_sha256: str,
    keys: Keys,
    region: str,
    now: datetime,
) -> dict[str, str]:
    """Return the headers of a request, with those of the signature.

    Parameters
    ----------
    method, path, query
        of the request; the path is encoded already
    headers
        all that are to be signed, `host` among them; names in lower case
    payload_sha256
        in hexadecimal digits, or `UNSIGNED_PAYLOAD`
    keys, region
        of the store
    now
        the time, UTC
    """
    stamp = f"{now:%Y%m%dT%H%M%SZ}"
    signed = {**headers, "x-amz-content-sha256": payload_sha256, "x-amz-date": stamp}
    if keys.session_token:
        signed["x-amz-security-token"] = keys.session_token
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name].strip()}\n" for name in sorted(signed))
    request = "\n".join([method, path, query_string(query), lines, names, payload_sha256])
    scope = f"{now:%Y%m%d}/{region}/s3/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{keys.secret_access_key}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    text = "\n".join([_ALGORITHM, stamp, scope, digest])
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    signed["authorization"] = (
        f"{_ALGORITHM} Credential={keys.access_key_id}/{scope},SignedHeaders={names},"
        f"Signature={signature}"
    )
    return signed
