"""What an error of HDFS means, and what to do about it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from finkray.errors import StorageError

_REMOTE: Final = re.compile(r'RPCError\("(?:[\w.]+[.$])?(\w+)", "(.*)"\)', re.DOTALL)
"""An exception of the name node, as the library shows it: class, message, stack."""

_AWAY: Final = "the name node of {server} does not answer: is it up, and the address right?"
_NODES: Final = (
    "the data nodes do not take or give the block: are enough of them up, reachable from here, and "
    "have they room?"
)
_KERBEROS: Final = (
    "the cluster does not accept this login: give kerberos_principal and kerberos_keytab in "
    "archive.options, or run kinit, and check HADOOP_CONF_DIR"
)
_QUOTA: Final = (
    "the quota of the folder is used up: raise it (hdfs dfsadmin) or make room, the archive then "
    "continues"
)
_ERASURE: Final = (
    "the folder is erasure-coded, where hsync does not work: put the archive into one with "
    "replicas (hdfs ec -setPolicy -replicate)"
)
_STARTING: Final = "the name node is starting; calls are tried again"
_STANDBY: Final = (
    "this name node is a standby: give hdfs://NAMESERVICE with HADOOP_CONF_DIR, so that the active "
    "one is found"
)

_BY_CLASS: Final = {
    "SafeModeException": "the name node is in safe mode and takes no writes: after a start it "
    "leaves it by itself, else by `hdfs dfsadmin -safemode leave`; the archive then continues",
    "StandbyException": _STANDBY,
    "ObserverRetryOnActiveException": _STANDBY,
    "RetriableException": _STARTING,
    "AccessControlException": "no right: give the archive's user the right to read, write and "
    "enter there ({message})",
    "AuthorizationException": _KERBEROS,
    "AuthenticationException": _KERBEROS,
    "InvalidToken": _KERBEROS,
    "DSQuotaExceededException": _QUOTA,
    "NSQuotaExceededException": _QUOTA,
    "QuotaByStorageTypeExceededException": _QUOTA,
    "ParentNotDirectoryException": "a folder on the way is a file ({message})",
}

_BY_TEXT: Final = (
    ("could only be written to", _NODES),
    ("could only be replicated to", _NODES),
    ("DataTransferError", _NODES),
    ("BlocksNotFound", _NODES),
    ("SASL", _KERBEROS),
    ("GSSAPI", _KERBEROS),
    ("SIMPLE authentication is not enabled", _KERBEROS),
    ("rasure cod", _ERASURE),
    ("lookup address", "no machine has the name of {server}: correct archive.uri"),
)


class Refusal(NamedTuple):
    """Why HDFS refused a call, or did not answer.

    Attributes
    ----------
    exception
        class of the name node's exception, without its package; empty if there is none
    message
        its first line, or that of the library
    text
        all that the library says
    """

    exception: str
    message: str
    text: str

    @classmethod
    def of(cls, error: BaseException) -> "Refusal":
        """Read the error of the library."""
        text = str(error)
        remote = _REMOTE.search(text)
        lines = re.split(r"\n|\\n", remote[2] if remote else text)
        message = lines[0].replace('\\"', '"').strip()
        return cls(remote[1] if remote else "", message[:300], text)

    def advice(self, server: str, *, is_connection: bool) -> str:
        """Return what is wrong and what to do. Pure.

        Parameters
        ----------
        server
            the URI of the name node
        is_connection
            whether the error is of the connection to the name node
        """
        found = _BY_CLASS.get(self.exception, "") or next(
            (advice for sign, advice in _BY_TEXT if sign in self.text), ""
        )
        if not found and is_connection:
            found = _AWAY
        return found.format(server=server, message=self.message) or self.message or "HDFS refused"


def is_connection(error: BaseException) -> bool:
    """Return whether the connection to the name node failed: the call may have been carried out."""
    return isinstance(error, OSError) and not isinstance(error, FileNotFoundError | FileExistsError)


@contextmanager
def explained(what: str, target: str, server: str) -> Iterator[None]:
    """Turn an error of the library into a StorageError that says what to do.

    Parameters
    ----------
    what
        the verb, as in "cannot create hdfs://…"
    target
        URI of the file or folder
    server
        URI of the name node, for the advice
    """
    try:
        yield
    except StorageError:
        raise
    except (OSError, RuntimeError, NotImplementedError, ValueError) as error:
        advice = Refusal.of(error).advice(server, is_connection=is_connection(error))
        raise StorageError(f"cannot {what} {target}: {advice}") from error
