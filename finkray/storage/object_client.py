"""Clients of object stores, by the library obstore: options, limits of time, retries.

Credentials that no option gives are looked for by the library where each store's own tools find
them: environment variables, a mounted token, the service that a cloud gives its machines.
"""

import functools
import ipaddress
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from finkray.storage.object_uri import ObjectUri

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store

    Client = S3Store | GCSStore | AzureStore

Option = str | bool | int | float

TIMEOUT_S: Final = 10.0
"""How long one request may take, from its connection to the last byte of its answer."""

RETRY_S: Final = 10.0
"""How long after its start a call is tried again; it ends `TIMEOUT_S` later at the latest.

The loop of the driver waits for its commits: three such calls in a row must end before the watchdog
takes it for one that hangs (`archive.hang_s`, 120 s). The archive tries again by itself, and says
so by an alarm, as long as the store is away."""

UPLOAD_TIMEOUTS: Final = 3
"""A request that carries a file, or makes the store copy one, may take that many times as long:
30 s for a file of 32 MiB is 1 MiB/s."""

_S3_DEFAULTS: Final[Mapping[str, Option]] = {"copy_if_not_exists": "multipart"}
"""Without it the library refuses a copy that never replaces. The checksum of a payload costs
0.6 ms/MiB, and is left out where TLS protects the bytes as well."""

PUBLISH_OPTION: Final = "publish"
PUBLISH_WAYS: Final = ("by_size", "deferred", "copy")
"""The first is the default: files of `DEFERRED_BYTES` and more are deferred, others copied."""

DEFERRED_BYTES: Final = 4 * 2**20
"""Size from which on a file is published by completing its upload, and a smaller one by a copy in
the store. For 4 MiB completing is 4 to 6 times as fast; for 1 MiB it takes twice as long, and its
requests cost seven times the CPU."""

_OWN_OPTIONS: Final = frozenset({"timeout_s", "retry_s", "root_certificate_file", PUBLISH_OPTION})

_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")


def make_client(uri: ObjectUri, options: Mapping[str, Option], *, uploads: bool) -> "Client":
    """Return a client with connections of its own; nothing is sent yet.

    Parameters
    ----------
    uri
        its bucket is that of the client; keys are not relative to its prefix
    options
        of the library for the store, as `region` or `endpoint`, and `timeout_s`, `retry_s`,
        `root_certificate_file` (PEM, of a store with a private authority) and `publish`, one of
        `PUBLISH_WAYS`
    uploads
        whether requests may take `UPLOAD_TIMEOUTS` times as long

    Raises
    ------
    ValueError
        if the library is not installed or does not take an option; no value is in the message
    """
    try:
        from obstore import store as stores
        from obstore.exceptions import BaseError
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{uri.scheme}:// needs the package obstore: pip install 'finkray[stores]'"
        ) from error
    makers: dict[str, Any] = {"s3": stores.S3Store, "gs": stores.GCSStore, "az": stores.AzureStore}
    config = {name: value for name, value in options.items() if name not in _OWN_OPTIONS}
    endpoint = str(config.get("endpoint", ""))
    if uri.scheme == "s3":
        config = {**_S3_DEFAULTS, "unsigned_payload": is_protected(endpoint), **config}
    if options.get(PUBLISH_OPTION, PUBLISH_WAYS[0]) not in PUBLISH_WAYS:
        raise ValueError(f"{PUBLISH_OPTION} must be one of {', '.join(PUBLISH_WAYS)}")
    timeout_s = seconds(options, "timeout_s", TIMEOUT_S) * (UPLOAD_TIMEOUTS if uploads else 1)
    try:
        client: Client = makers[uri.scheme](
            uri.bucket,
            config=config,
            client_options={
                "allow_http": endpoint.startswith("http://"),
                "timeout": timedelta(seconds=timeout_s),
                "connect_timeout": timedelta(seconds=min(5.0, timeout_s)),
                **_root_certificate(options),
            },
            retry_config={
                # Bounded by the time alone.
                "max_retries": 1000,
                "backoff": {
                    "init_backoff": timedelta(milliseconds=50),
                    "max_backoff": timedelta(seconds=5),
                    "base": 2.0,
                },
                "retry_timeout": timedelta(seconds=seconds(options, "retry_s", RETRY_S)),
            },
        )
    except (BaseError, ValueError, TypeError) as error:
        # Their text may have a value in it.
        names = ", ".join(sorted(options)) or "none"
        raise ValueError(
            f"{uri} cannot be opened with these options ({names}): one is missing, unknown or "
            f"malformed ({type(error).__name__}); docs/storage.md lists them"
        ) from None
    return client


@functools.lru_cache(maxsize=64)
def shared_client(
    scheme: str, bucket: str, options: tuple[tuple[str, Option], ...], *, uploads: bool
) -> "Client":
    """Return the client of this process for a bucket: its connections are used again."""
    return make_client(ObjectUri(scheme, bucket, ""), dict(options), uploads=uploads)


def resolved(uri: ObjectUri, options: Mapping[str, Option]) -> dict[str, Option]:
    """Return the options with the endpoint that the environment names, if they have none."""
    if uri.scheme != "s3" or options.get("endpoint"):
        return dict(options)
    named = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
    return {**options, **({} if named is None else {"endpoint": named})}


def endpoint_of(uri: ObjectUri, options: Mapping[str, Option]) -> str:
    """Return the address of the store, for messages."""
    given = resolved(uri, options).get("endpoint")
    return str(given or f"the default endpoint of {uri.scheme}://")


def is_protected(endpoint: str) -> bool:
    """Return whether bytes on their way cannot be changed: TLS, or this machine."""
    parts = urlsplit(endpoint)
    if not endpoint or parts.scheme == "https":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"


def seconds(options: Mapping[str, Option], name: str, default: float) -> float:
    """Return an option that is a number of seconds.

    Raises
    ------
    ValueError
        if it is none, or not above 0
    """
    try:
        value = float(options.get(name, default))
    except ValueError:
        value = 0.0
    if not value > 0:
        raise ValueError(f"{name} must be a number of seconds above 0")
    return value


def _root_certificate(options: Mapping[str, Option]) -> dict[str, bytes]:
    file = options.get("root_certificate_file")
    if file is None:
        return {}
    try:
        return {"root_certificate": Path(str(file)).read_bytes()}
    except OSError as error:
        raise ValueError(f"root_certificate_file cannot be read: {error.strerror}") from error
