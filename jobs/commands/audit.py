"""`finkray audit`: the real Kafka and the real folder, audited, and redriven if asked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from finkray.audit.audit import audit
from finkray.audit.report import AuditReport
from finkray.errors import SettingsError
from finkray.kafka.cluster import KafkaCluster
from finkray.ledger.lease import Lease
from finkray.ledger.log import Ledger
from finkray.ledger.publish import recover
from finkray.redrive.missing import Redriven, Redriver
from finkray.settings.model import Settings
from finkray.storage.contract import Storage
from jobs.cluster.archive import archive_of


def audit_now(settings: Settings, deep: str | None = None) -> AuditReport:
    """Compare Kafka, the ledger and the files as they are now.

    Raises
    ------
    SettingsError
        There is no archive in the folder, or `deep` is no range.
    KafkaUnavailable
        No broker answers.
    LedgerCorrupt
        The ledger cannot be summed up.
    """
    kafka = KafkaCluster(settings.kafka.client_config())
    try:
        return audit(archive_of(settings), kafka, wants=settings.kafka.wants, deep=deep)
    except ValueError as error:
        raise SettingsError(f"--deep: {error}") from error
    finally:
        kafka.close()


def redrive_now(settings: Settings, tell: Callable[[str], None]) -> Redriven:
    """Bring in what an audit finds missing, as the one writer of the archive.

    Raises
    ------
    ArchiveHeld
        An archive runs on the folder: stop it first.
    """
    with taken_over(settings) as (storage, ledger):
        return Redriver(settings, storage, ledger).redrive(audit_now(settings), tell)


@contextmanager
def taken_over(settings: Settings) -> Iterator[tuple[Storage, Ledger]]:
    """The archive that the settings mean, mended, with this process as its one writer.

    Raises
    ------
    ArchiveHeld
        An archive runs on the folder.
    """
    storage = archive_of(settings)
    with Lease.acquire(storage, ttl_s=settings.archive.lease_ttl_s) as lease:
        ledger = Ledger.take_over(storage, lease)
        recover(ledger, storage)
        yield storage, ledger
