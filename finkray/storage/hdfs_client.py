"""Clients of HDFS, by the library hdfs-native, and a limit of time for each call.

The library waits for minutes while a name node is away, and for ever for one that accepts a
connection and answers nothing. So each call runs in a thread of its own, which is given up when the
limit has passed; what it was about to do next it leaves undone. Given-up threads end when the
library does. The library's asynchronous client could be cancelled, but it panics when it waits for
a name node (0.14.7).

User, Kerberos and the addresses of name services come from where Hadoop's tools look for them:
`HADOOP_USER_NAME`, `KRB5CCNAME`, `HADOOP_CONF_DIR`.
"""

import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeVar

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
"""With the library's own pauses and 15 attempts it tries for 182 s to connect. With these pauses
and as many attempts as a call may take seconds it says why it could not before the limit passes."""

_KERBEROS: Final = frozenset({"kerberos_principal", "kerberos_keytab", "kerberos_cache"})
_OWN_OPTIONS: Final = frozenset({"timeout_s", "config_dir"}) | _KERBEROS


class GivenUp(Exception):
    """The limit of time of a call has passed."""


class Progress:
    """The way by which a call that takes several steps, and the thread that waits, know each other.

    Parameters
    ----------
    limit_s
        how long the call, or each stretch of it that ends with `moved`, may take
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._ends_s = time.monotonic() + limit_s
        self._given_up = False

    def check(self) -> None:
        """End the call if it was given up: to be called before a step that changes something."""
        if self._given_up:
            raise GivenUp

    def moved(self) -> None:
        """Say that a step was done: the limit counts anew."""
        self.check()
        self._ends_s = time.monotonic() + self._limit_s

    def left_s(self) -> float:
        """Return how long the call may still take."""
        return self._ends_s - time.monotonic()

    def give_up(self) -> None:
        """Let the call end before its next step."""
        self._given_up = True


def within(limit_s: float, call: Callable[[Progress], T]) -> T:
    """Return what a call returns, or raise what it raises, within a limit of time.

    Raises
    ------
    TimeoutError
        if it takes longer. What it has begun may still be carried out
    """
    progress = Progress(limit_s)
    answers: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((call(progress), None))
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            answers.put((None, error))

    threading.Thread(target=run, name="hdfs", daemon=True).start()
    while (left_s := progress.left_s()) > 0:
        try:
            answer, error = answers.get(timeout=left_s)
        except queue.Empty:
            continue
        if error is None:
            return answer  # type: ignore[return-value]  # of the call itself
        if isinstance(error, Exception):
            raise error
        # A panic of the library is no Exception.
        raise RuntimeError(f"the client library failed: {error}") from error
    progress.give_up()
    raise TimeoutError(f"no answer within {limit_s:g} s")


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


_CLIENTS: dict[tuple[object, ...], "Client"] = {}
_CLIENTS_LOCK = threading.Lock()


def shared_client(uri: HdfsUri, options: Mapping[str, Option]) -> "Client":
    """Return the client of this process for a name node: its connections are used again.

    Raises
    ------
    ValueError
        as `make_client`
    """
    key = _key(uri, options)
    with _CLIENTS_LOCK:
        if key not in _CLIENTS:
            _CLIENTS[key] = make_client(uri, options)
        return _CLIENTS[key]


def forget_client(uri: HdfsUri, options: Mapping[str, Option]) -> None:
    """Let the next call make a new client: the connections of the old one answer nothing."""
    with _CLIENTS_LOCK:
        _CLIENTS.pop(_key(uri, options), None)


def _key(uri: HdfsUri, options: Mapping[str, Option]) -> tuple[object, ...]:
    # The threads of a client do not survive a fork.
    user = os.environ.get("HADOOP_USER_NAME")
    return (os.getpid(), user, uri.authority, *sorted(options.items()))


def _text(value: Option) -> str:
    """Return a value as Hadoop's settings have it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
