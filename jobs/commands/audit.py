"""`finkray audit`: audit Kafka and the archive, and redrive what is missing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from finkray.audit.audit import audit
from finkray.audit.report import AuditReport
from finkray.errors import SettingsError
from finkray.kafka.cluster import KafkaCluster
from finkray.ledger.lease import Lease
from finkray.ledger.log import Ledger
from finkray.ledger.publish import recover
from finkray.redrive.missing import Redriver, RedriveResult
from finkray.redrive.schemas import restore_schemas
from finkray.settings.model import Settings
from finkray.storage.contract import Storage
from jobs.cluster.archive import archive_of
from jobs.cluster.streamout_kafka import streamout_kafka

if TYPE_CHECKING:
    from finkray.streamout.balance import FilterBalance


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


def filter_balances(settings: Settings) -> "list[FilterBalance]":
    """Return what each published filter judged and sent, compared with the ledger.

    Raises
    ------
    KafkaUnavailable
        The Kafka of streaming out does not answer.
    """
    from finkray.streamout.balance import balances
    from finkray.streamout.published import FilterStore
    from finkray.streamout.sender import read_out_ledger

    archive = archive_of(settings)
    published = FilterStore(archive).all()
    if not published:
        return []
    config = streamout_kafka(settings)
    return balances(archive, published, read_out_ledger(config, settings.streamout.instance))


def redrive_now(settings: Settings, show: Callable[[str], None]) -> RedriveResult:
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
