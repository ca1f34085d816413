"""Clients of HDFS, by the library hdfs-native.

User, Kerberos and the addresses of name services come from where Hadoop's tools look for them:
`HADOOP_USER_NAME`, `KRB5CCNAME`, `HADOOP_CONF_DIR`.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from finkray.storage.hdfs_time import CallLimit, within
from finkray.storage.hdfs_uri import HdfsUri

if TYPE_CHECKING:
    from hdfs_native import Client

Option = str | bool | int | float

T = TypeVar("T")

TIMEOUT_S: Final = 10.0
"""How long a call may take, its retries included.

The loop of the driver waits for its commits: three such calls in a row must end before the watchdog
takes it for one that hangs (`archive.hang_s`, 120 s)."""

_RETRY_PAUSES: Final[Mapping[str, Option]] = {
    "dfs.client.failover.sleep.base.millis": 100,
    "dfs.client.failover.sleep.max.millis": 1000,
}
_RETRIES: Final = "dfs.client.failover.max.attempts"
"""Setting of the number of attempts to connect. With its own pauses and 15 attempts the library
tries for 182 s. With our pauses, and an attempt for each second of a call's time limit, it reports
why it could not connect before the limit passes."""

_LATE_CALLS: Final = 32
"""Most threads that may wait for a name node that does not answer: some never end, because the
library has no limit for an answer."""

_RENEWED_AFTER_S: Final = 60.0
"""How old a client must be to be replaced after a call without an answer: each has threads of its
own, which stay as long as its calls."""

_KERBEROS: Final = frozenset({"kerberos_principal", "kerberos_keytab", "kerberos_cache"})
_OWN_OPTIONS: Final = frozenset({"timeout_s", "config_dir"}) | _KERBEROS


def make_client(uri: HdfsUri, options: Mapping[str, Option]) -> "Client":
    """Return a client with connections of its own; nothing is sent yet.

    Parameters
    ----------
    uri
        of the archive
    options
        settings of Hadoop, by their names with dots; `config_dir`, in place of `HADOOP_CONF_DIR`;
        `kerberos_principal`, `kerberos_keytab`, `kerberos_cache`; `timeout_s`

    Raises
    ------
    ValueError
        if the library is not installed, an option is unknown, or the name service is not known; no
        value is in the message
    """
    try:
        from hdfs_native import Client
    except ModuleNotFoundError as error:
        raise ValueError(
            "hdfs:// needs the package hdfs-native: pip install 'finkray[stores]'"
        ) from error
    retries = {**_RETRY_PAUSES, _RETRIES: max(1, int(timeout_of(options)))}
    unknown = sorted(name for name in options if name not in _OWN_OPTIONS and "." not in name)
    if unknown:
        raise ValueError(
            f"hdfs:// takes no option {', '.join(unknown)}: it takes settings of Hadoop, such as "
            f"dfs.client.use.datanode.hostname, and {', '.join(sorted(_OWN_OPTIONS))}"
        )
    if _KERBEROS & options.keys() and "kerberos_principal" not in options:
        raise ValueError("hdfs:// needs kerberos_principal beside a keytab or a cache")
    settings = {name: value for name, value in options.items() if name not in _OWN_OPTIONS}
    config = {name: _text(value) for name, value in {**retries, **settings}.items()}
    login = {name: str(options[name]) for name in _KERBEROS if name in options}
    config_dir = options.get("config_dir")
    try:
        return Client(uri.server, config, None if config_dir is None else str(config_dir), **login)
    except (RuntimeError, OSError, ValueError) as error:
        names = ", ".join(sorted(options)) or "none"
        raise ValueError(
            f"{uri} cannot be opened with these options ({names}): is HOST:PORT of the name node "
            "missing, or the name service unknown to the settings in HADOOP_CONF_DIR? "
            f"({type(error).__name__})"
        ) from None


def timeout_of(options: Mapping[str, Option]) -> float:
    """Return the limit of a call.

    Raises
    ------
    ValueError
        if it is no number above 0
    """
    try:
        timeout_s = float(options.get("timeout_s", TIMEOUT_S))
    except ValueError:
        timeout_s = 0.0
    if not timeout_s > 0:
        raise ValueError("timeout_s must be a number of seconds above 0")
    return timeout_s


class Connection:
    """The client of this process for a name node, and the calls that got no answer.

    Parameters
    ----------
    make
        returns a new client
    """

    def __init__(self, make: Callable[[], "Client"]) -> None:
        self._make = make
        self._client = make()
        self._made_s = time.monotonic()
        self._late: list[CallLimit] = []
        self._lock = threading.Lock()
        self._probing = threading.Lock()

    def call(self, limit_s: float, call: Callable[["Client", CallLimit], T]) -> T:
        """Return what a call returns, or raise what it raises, within a limit of time.

        While many earlier calls are without an answer, one at a time tries whether the name node is
        back, and others are refused.

        Raises
        ------
        TimeoutError
            if it takes longer, or others try already. What it has begun may still be carried out
        """
        with self._lock:
            self._late = [limit for limit in self._late if not limit.ended]
            is_probe = len(self._late) >= _LATE_CALLS
        if not is_probe:
            return self._within(limit_s, call)
        if not self._probing.acquire(blocking=False):
            raise TimeoutError("earlier calls are without an answer")
        try:
            return self._within(limit_s, call)
        finally:
            self._probing.release()

    def _within(self, limit_s: float, call: Callable[["Client", CallLimit], T]) -> T:
        limit, client = CallLimit(limit_s), self._client
        try:
            return within(limit, lambda limit: call(client, limit))
        except TimeoutError:
            with self._lock:
                self._late.append(limit)
                # A new connection may get through where the old one is dead.
                if time.monotonic() - self._made_s > _RENEWED_AFTER_S:
                    self._client, self._made_s = self._make(), time.monotonic()
            raise


_CONNECTIONS: dict[tuple[object, ...], Connection] = {}
_CONNECTIONS_LOCK = threading.Lock()


def shared_connection(uri: HdfsUri, options: Mapping[str, Option]) -> Connection:
    """Return the connection of this process to a name node.

    Raises
    ------
    ValueError
        as `make_client`
    """
    # The threads of a client do not survive a fork.
    user = os.environ.get("HADOOP_USER_NAME")
    key = (os.getpid(), user, uri.authority, *sorted(options.items()))
    with _CONNECTIONS_LOCK:
        if key not in _CONNECTIONS:
            _CONNECTIONS[key] = Connection(lambda: make_client(uri, options))
        return _CONNECTIONS[key]


def _text(value: Option) -> str:
    """Return a value as Hadoop's settings have it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
