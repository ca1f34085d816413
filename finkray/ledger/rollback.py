"""Refuse to append to a ledger that an older copy has replaced under its writer.

A backup that is restored while the archive runs lacks the writer's last entries. The next entry
would leave a hole in the numbers, or begin a second ledger in an empty folder: no reader could
read it any more, and the claims of the lost entries would be missing from it.
"""

from finkray.errors import LedgerCorrupt
from finkray.ledger.entry import log_path
from finkray.ledger.identity import refuse_if_gone
from finkray.ledger.segment import covering
from finkray.storage.contract import Storage


def refuse_if_rolled_back(storage: Storage, archive_id: str, last_seq: int) -> None:
    """Check, without writing, that the last entry of a writer is still in its ledger.

    Parameters
    ----------
    storage
        of the archive
    archive_id
        the identity of the archive
    last_seq
        the number of the last entry that the writer created or read; -1 is none

    Raises
    ------
    StorageError
        if the folder is gone: deleted, or its disk is not mounted
    LedgerCorrupt
        if the entry is gone, or the folder is that of another archive
    """
    refuse_if_gone(storage, archive_id)
    if last_seq < 0 or storage.size_bytes(log_path(last_seq)) is not None:
        return
    if covering(storage, last_seq) is not None:  # compacted
        return
    refuse_if_gone(storage, archive_id)  # it may have gone in this moment, which passes
    raise LedgerCorrupt(
        f"entry {last_seq}, the last one of the ledger of {storage.uri}, is not there any more: "
        "the ledger was deleted, or replaced by an older copy, while the archive ran. Nothing was "
        "written to it since. Restore the newest ledger, or run `finkray ledger rebuild`"
    )
