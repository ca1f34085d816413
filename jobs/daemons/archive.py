"""The archive as a daemon. Its program is `python -m finkray.archive`."""

from pathlib import Path
from typing import Final

from finkray.errors import KafkaUnavailable
from finkray.settings.model import Settings
from finkray.status.archive import Snapshot
from finkray.status.board import ARCHIVE_BOARD, read_board
from finkray.text import bytes_text
from jobs.cluster.job import Daemon, Job


def _is_ready(_job: Job, settings: Settings, _state: Path) -> bool:
    return does_its_work(read_board(ARCHIVE_BOARD, settings))


def does_its_work(snapshot: Snapshot | None) -> bool:
    """Return whether an archive has started and archives: one that drains does not."""
    return snapshot is not None and snapshot.state == "running"


def ready_text(settings: Settings, snapshot: Snapshot | None) -> str:
    """Return one line on an archive that has started.

    Raises
    ------
    KafkaUnavailable
        It runs, and Kafka does not answer: the person who started it must know.
    """
    for alarm in snapshot.alarms if snapshot else ():
        if alarm.code == "KAFKA_UNREACHABLE":
            raise KafkaUnavailable(
                f"the archive runs and waits for Kafka: {alarm.message}. {alarm.what_to_do} "
                "`finkray stop archive` ends it"
            )
    return f"archive: running, from {settings.kafka.bootstrap_servers} to {settings.archive.uri}"


def _ready_text(_job: Job, settings: Settings, _state: Path) -> str:
    return ready_text(settings, read_board(ARCHIVE_BOARD, settings))


def _check_folder(settings: Settings, state: Path) -> None:
    from jobs.cluster.known_archives import refuse_vanished

    refuse_vanished(state, settings)


def _note_folder(settings: Settings, state: Path) -> None:
    from jobs.cluster.known_archives import remember_archive

    remember_archive(state, settings)


def _drain_text(settings: Settings) -> str:
    snapshot = read_board(ARCHIVE_BOARD, settings)
    return f"{bytes_text(snapshot.held_bytes)} held" if snapshot else ""


ARCHIVE: Final = Daemon(
    name="archive",
    module="finkray.archive",
    about="archives alerts from Kafka as Parquet",
    is_ready=_is_ready,
    ready_text=_ready_text,
    check_folder=_check_folder,
    note_folder=_note_folder,
    drain_text=_drain_text,
)
