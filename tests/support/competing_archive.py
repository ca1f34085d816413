"""A process that archives made-up claims as fast as it can, until it is killed.

    python -m tests.support.competing_archive URI TTL_S SEED

Takes the lease (waits while another process holds it), recovers, then stages, commits and
publishes claims from the ledger's frontier on, and compacts. Prints `epoch N` when it begins an
epoch; exits with code 3 when it is fenced.
"""

import random
import sys
import time

from finkray.errors import ArchiveHeld, Fenced, StorageError
from finkray.ledger.lease import Lease
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit, recover
from finkray.storage.contract import Storage
from finkray.storage.opening import StorageLocation, open_storage
from tests.support.ledgers import ZTF, result, stage

EXIT_FENCED = 3


def main(uri: str, ttl_s: float, seed: int) -> int:
    """Archive until killed or fenced; return the exit code."""
    chance = random.Random(seed)
    storage = open_storage(StorageLocation(uri))
    while True:
        try:
            lease = Lease.acquire(storage, ttl_s)
            break
        except ArchiveHeld:
            time.sleep(0.02)
    ledger = Ledger.take_over(storage, lease)
    recover(ledger, storage)
    sys.stdout.write(f"epoch {ledger.epoch}\n")
    sys.stdout.flush()
    try:
        while True:
            archive_some(ledger, storage, chance)
    except Fenced:
        return EXIT_FENCED


def archive_some(ledger: Ledger, storage: Storage, chance: random.Random) -> None:
    """Commit a few claims from the frontier on."""
    first = ledger.frontier(ZTF) or 0
    claims = []
    try:
        for _ in range(chance.randint(1, 3)):
            last = first + chance.randint(0, 9)
            dead = chance.randint(0, last - first) if chance.random() < 0.3 else 0
            claims.append(stage(storage, ledger.staging, result(first, last, dead=dead)))
            first = last + 1
        commit(ledger, storage, claims)
    except StorageError:
        # A successor has cleared the staging folder: the next attempt is fenced.
        return
    ledger.compact()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
