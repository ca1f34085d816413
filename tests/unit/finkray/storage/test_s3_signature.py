"""Requests are signed as Amazon's documentation of the signature shows."""

import hashlib
from datetime import UTC, datetime

from finkray.storage.s3_signature import Keys, query_string, signed_headers

KEYS = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
NOW = datetime(2013, 5, 24, tzinfo=UTC)
NOTHING = hashlib.sha256(b"").hexdigest()
HOST = {"host": "examplebucket.s3.amazonaws.com"}


def signature(path: str, query: dict[str, str], headers: dict[str, str]) -> str:
    signed = signed_headers(
        "GET",
        path,
        query,
        {**HOST, **headers},
        payload_sha256=NOTHING,
        keys=KEYS,
        region="us-east-1",
        now=NOW,
    )
    return signed["authorization"].rpartition("Signature=")[2]


def test_a_request_with_a_header_is_signed_as_documented() -> None:
    assert (
        signature("/test.txt", {}, {"range": "bytes=0-9"})
        == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_a_request_with_a_query_is_signed_as_documented() -> None:
    assert (
        signature("/", {"lifecycle": ""}, {})
        == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    )
    assert (
        signature("/", {"prefix": "J", "max-keys": "2"}, {})
        == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    )


def test_a_query_is_in_order_and_encoded() -> None:
    assert query_string({"uploadId": "a+b/c", "partNumber": "1"}) == (
        "partNumber=1&uploadId=a%2Bb%2Fc"
    )


def test_a_secret_is_in_no_representation() -> None:
    assert "wJalr" not in repr(KEYS)
