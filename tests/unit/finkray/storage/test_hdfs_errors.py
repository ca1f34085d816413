"""What a refusal of HDFS tells the operator, by the answers that name nodes give."""

import pytest

from finkray.errors import StorageError
from finkray.storage.hdfs_checks import Room, space
from finkray.storage.hdfs_errors import Refusal, explained

SERVER = "hdfs://name-node:8020"
REMOTE = (
    'RPCError("org.apache.hadoop.{exception}", "{message}\\n\\tat org.apache.hadoop.A.b(A.java)")'
)


@pytest.mark.parametrize(
    ("exception", "message", "advice"),
    [
        ("hdfs.server.namenode.SafeModeException", "Cannot create file/a.", "is in safe mode"),
        (
            "ipc.StandbyException",
            "not supported in state standby",
            "is a standby: give hdfs://NAME",
        ),
        ("ipc.RetriableException", "NameNode still not started", "is starting"),
        (
            "security.AccessControlException",
            'Permission denied: user=me, access=WRITE, inode=\\"/\\":root',
            'and enter there (Permission denied: user=me, access=WRITE, inode="/":root)',
        ),
        ("hdfs.protocol.DSQuotaExceededException", "The DiskSpace quota", "quota of the folder is"),
        ("hdfs.protocol.NSQuotaExceededException", "The NameSpace quota", "quota of the folder is"),
        ("fs.ParentNotDirectoryException", "/a (is not a directory)", "a folder on the way is a"),
        ("fs.Other", "something new", "something new"),
    ],
)
def test_each_refusal_says_what_to_do(exception: str, message: str, advice: str) -> None:
    error = RuntimeError(REMOTE.format(exception=exception, message=message))
    refusal = Refusal.of(error)
    assert refusal.exception == exception.rpartition(".")[2]
    assert advice in refusal.advice(SERVER, is_connection=False)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OSError("Connection refused (os error 111)"), "name-node:8020 does not answer: is it up"),
        (OSError("RPC listener disconnected"), "does not answer: is it up"),
        (TimeoutError("no answer within 10 s"), "does not answer: is it up"),
        (OSError("failed to lookup address information"), "no machine has the name of hdfs://name"),
        (RuntimeError('DataTransferError("All nodes failed for write")'), "data nodes do not take"),
        (RuntimeError('RPCError("java.io.IOException", "File /a could only be written to 0 of")'),
         "the data nodes do not take or give the block"),
        (RuntimeError("NoSASLMechanism"), "does not accept this login: give kerberos_principal"),
        (NotImplementedError("hsync of erasure coded files"), "the folder is erasure-coded"),
        (FileNotFoundError("rename source /a is not found.\n\tat org"), "source /a is not found."),
    ],
)  # fmt: skip
def test_an_error_of_the_library_says_what_to_do(error: Exception, advice: str) -> None:
    with (
        pytest.raises(StorageError, match=r"^cannot create hdfs://name-node:8020/a: ") as refused,
        explained("create", f"{SERVER}/a", SERVER),
    ):
        raise error
    assert advice in str(refused.value)
    assert "\n" not in str(refused.value)


def test_room_is_what_the_quotas_leave() -> None:
    none = (1 << 64) - 1
    assert Room.of(none, 5, none, 1000) == Room(None, None)
    assert "no space quota" in space(Room(None, None), 1 << 40)
    assert "leaves" in space(Room.of(20_000, 5, 4000, 1000), 1000)
    with pytest.raises(StorageError, match=r"quota of names leaves 9\W995 files and folders"):
        space(Room.of(10_000, 5, none, 0), 0)
    with pytest.raises(StorageError, match="space quota leaves 0 B, and 3 replicas of"):
        space(Room.of(none, 5, 1000, 2000), 1)
