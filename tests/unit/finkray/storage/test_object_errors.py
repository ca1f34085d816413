"""What a refusal of an object store tells the operator, by the answers that stores give."""

import pytest

from finkray.storage.object_errors import Refusal

S3 = (
    "Generic S3 error: Error performing PUT http://127.0.0.1:1/b/k in 2ms, after 1 retries - "
    "Server returned non-2xx status code: {status}: <Error><Code>{code}</Code></Error>"
)


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        ("404 Not Found", "NoSuchBucket", "store.org has no bucket night: make it"),
        ("403 Forbidden", "RequestTimeTooSkewed", "set the clock"),
        ("403 Forbidden", "SignatureDoesNotMatch", "does not accept the credentials"),
        ("403 Forbidden", "InvalidAccessKeyId", "does not accept the credentials"),
        ("403 Forbidden", "AccessDenied", "no right: give these credentials"),
        ("400 Bad Request", "ExpiredToken", "have expired: renew them"),
        ("400 Bad Request", "AuthorizationHeaderMalformed", "in another region: set"),
        ("301 Moved Permanently", "PermanentRedirect", "in another region: set"),
        ("503 Service Unavailable", "SlowDown", "throttles requests"),
        ("501 Not Implemented", "NotImplemented", "needs one with conditional writes"),
        ("507 Insufficient Storage", "InsufficientStorage", "make room"),
    ],
)
def test_each_refusal_says_what_to_do(status: str, code: str, advice: str) -> None:
    refusal = Refusal.of(OSError(S3.format(status=status, code=code)))
    assert refusal.code == code
    assert refusal.status == int(status[:3])
    assert advice in refusal.advice("night", "store.org")


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("Error performing HEAD in 1s - Server returned 403 Forbidden", "no right"),
        ("HTTP error: error sending request: tcp connect error", "does not answer: is the store"),
        ("HTTP error: operation timed out", "does not answer: is the store"),
        ("Error performing PUT http://169.254.169.254/latest/api/token", "no credentials were"),
        ("something new\nwith lines", "something new"),
    ],
)
def test_a_refusal_without_a_code_says_what_to_do(text: str, advice: str) -> None:
    assert advice in Refusal.of(OSError(text)).advice("night", "store.org")
