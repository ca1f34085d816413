"""A process that archives made-up claims as fast as it can, again and again, until it is killed.

    python -m tests.support.competing_archive URI TTL_S SEED

Takes the lease (waits while another process holds it), recovers, then stages, commits and
publishes claims from the ledger's frontier on, and compacts. Prints `epoch N` when it begins an
epoch and `fenced N` when it is fenced; then it takes part again. When the storage refuses what
an archive cannot try again, it prints `ended N` and exits with code 75, to be started again.
"""

import random
import sys
import time

from finkray.claim import StagedClaim
from finkray.driver.committer import Committer
from finkray.errors import ArchiveHeld, ClusterUnavailable, Fenced, StorageError
from finkray.ledger.lease import Lease
from finkray.ledger.log import Ledger
from finkray.ledger.publish import recover
from finkray.packets.write_claim import write_claim
from finkray.storage.contract import Storage
from finkray.storage.opening import StorageLocation, open_storage
from tests.support.ledgers import ZTF
from tests.support.small_archives import SmallArchive

EXIT_STORAGE = 75

_RETRY_S = 0.02


def main(uri: str, ttl_s: float, seed: int) -> int:
    """Archive until killed; return the exit code if the storage ends it."""
    chance = random.Random(seed)
    storage = open_storage(StorageLocation(uri))
    while True:
        try:
            lease = Lease.acquire(storage, ttl_s)
        except (ArchiveHeld, StorageError):
            time.sleep(_RETRY_S)
            continue
        with lease:
            try:
                archive_until_fenced(storage, lease, chance)
            except (StorageError, ClusterUnavailable) as error:
                say(f"ended {lease.record.epoch} {error}")
                return EXIT_STORAGE


def archive_until_fenced(storage: Storage, lease: Lease, chance: random.Random) -> None:
    """Take the archive over and commit claims until another archive has taken it over."""
    try:
        ledger = Ledger.take_over(storage, lease)
    except Fenced:
        return  # the epoch did not begin
    try:
        recover(ledger, storage)
        say(f"epoch {ledger.epoch}")
        committer = Committer(ledger, storage)
        while True:
            archive_some(ledger, committer, storage, chance)
    except Fenced:
        say(f"fenced {ledger.epoch}")


def archive_some(
    ledger: Ledger, committer: Committer, storage: Storage, chance: random.Random
) -> None:
    """Commit a few claims from the frontier on."""
    first = ledger.frontier(ZTF) or 0
    claims: list[StagedClaim] = []
    try:
        for _ in range(chance.randint(1, 3)):
            last = first + chance.randint(0, 9)
            dead = chance.randint(0, last - first) if chance.random() < 0.3 else 0
            batch = SmallArchive.batch(first, last, dead=range(first, first + dead))
            attempt = f"{first}-{chance.getrandbits(64):016x}"
            claims.append(write_claim(batch, storage, ledger.staging, attempt))
            first = last + 1
    except StorageError:
        # As a failed task does, whose claims are dispatched again. If a successor has deleted what
        # was staged, the next commit says so.
        time.sleep(_RETRY_S)
        return
    while not committer.commit(claims):
        time.sleep(_RETRY_S)
    ledger.compact()


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
