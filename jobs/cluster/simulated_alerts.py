"""Keep simulated alerts and those of a survey in archives of their own.

They have the same topics, so nothing that readers see would tell them apart, and what is in an
archive stays there. The Kafka of the simulator has a cluster id by which the ledger knows its
alerts.
"""

from collections.abc import Collection
from typing import Final

from finkray.errors import KafkaUnavailable, LedgerCorrupt, SettingsError
from finkray.kafka.cluster import KafkaCluster
from finkray.ledger.read import read_state
from finkray.settings.model import Settings
from finkray.storage.opening import open_storage
from sim.broker.config import is_simulated

_TIMEOUT_S: Final = 5.0
"""As of `finkray check`. The archive itself waits for a Kafka that does not answer."""


def refuse_mixing(settings: Settings, *, simulator: bool) -> None:
    """Refuse to start an archive in a folder that has alerts of the other kind alone.

    Parameters
    ----------
    settings
        The settings as they were read.
    simulator
        Whether the archive is to read the simulator's Kafka.

    Raises
    ------
    SettingsError
        Simulated alerts would stand among those of a survey.
    StorageError
        The storage does not answer, or refuses.
    """
    storage = open_storage(settings.archive)
    if not storage.exists():
        return  # nothing, so nothing of the other kind
    try:
        known = {source.cluster_id for source in read_state(storage).state.partitions}
    except LedgerCorrupt:
        return  # the archive itself says what to do
    if simulator:
        refuse_other_kind(storage.uri, known, simulated=True)
    elif any(map(is_simulated, known)) and (own := _cluster_id(settings)):
        refuse_other_kind(storage.uri, known, simulated=is_simulated(own))


def refuse_other_kind(uri: str, known: Collection[str], *, simulated: bool) -> None:
    """Refuse to add alerts to an archive that has those of the other kind alone. Pure.

    Parameters
    ----------
    uri
        Where the archive is.
    known
        Cluster ids of the Kafkas whose alerts it has.
    simulated
        Whether the alerts to come are simulated.

    Raises
    ------
    SettingsError
        All that it has is of the other kind.
    """
    if not known or any(is_simulated(each) == simulated for each in known):
        return
    if simulated:
        raise SettingsError(
            f"{uri} has alerts of the Kafka {', '.join(sorted(known))}, and simulated ones would "
            "stand among them for ever: give them a folder of their own, as by "
            "FINKRAY__ARCHIVE__URI=simulated"
        )
    raise SettingsError(
        f"{uri} has simulated alerts, and those of the Kafka of the settings would stand among "
        "them for ever: set archive.uri to another folder, or start the archive with --simulator"
    )


def _cluster_id(settings: Settings) -> str | None:
    """Return the id of the Kafka of the settings; None if it does not answer."""
    cluster = KafkaCluster(settings.kafka.client_config(), _TIMEOUT_S)
    try:
        return cluster.cluster_id()
    except KafkaUnavailable:
        return None
    finally:
        cluster.close()
