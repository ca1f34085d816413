"""`finkray audit`: audit Kafka and the archive, and redrive what is missing."""

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
from finkray.redrive.schemas import restore_schemas
from finkray.settings.model import Settings
from finkray.storage.contract import Storage
from jobs.cluster.archive import archive_of


def audit_now(settings: Settings, deep: str | None = None) -> AuditReport:
    """Compare Kafka, the ledger and the files as they are now.

    Raises
    ------
    SettingsError
        There is no archive, or `deep` is not a range.
    KafkaUnavailable
        No broker answers.
    LedgerCorrupt
        The ledger cannot be summarised.
    """
    kafka = KafkaCluster(settings.kafka.client_config())
    try:
        return audit(archive_of(settings), kafka, wants=settings.kafka.wants, deep=deep)
    except ValueError as error:
        raise SettingsError(f"--deep: {error}") from error
    finally:
        kafka.close()


def redrive_now(settings: Settings, show: Callable[[str], None]) -> Redriven:
    """Archive what an audit finds missing, as the only writer of the archive.

    Schema files that are missing or damaged are written again too.

    Raises
    ------
    ArchiveHeld
        An archive runs on the folder: stop it first.
    """
    with taken_over(settings) as (storage, ledger):
        restore_schemas(settings, storage, show)
        return Redriver(settings, storage, ledger).redrive(audit_now(settings), show)


@contextmanager
def taken_over(settings: Settings) -> Iterator[tuple[Storage, Ledger]]:
    """Yield the archive of the settings, recovered, with this process as its only writer.

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
