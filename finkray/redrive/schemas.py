"""Write schema files again that are missing or damaged, from messages that Kafka still has."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator

from finkray.claim import Claim, ClaimResult, TopicPartition
from finkray.ledger.claims import COLUMNS, archived_schemas, claim_tables
from finkray.ledger.file_claims import NO_FINGERPRINT
from finkray.ledger.read import read_state
from finkray.packets.batch import make_batch
from finkray.packets.decoder import make_decoder
from finkray.redrive.reread import Rereader
from finkray.settings.model import Settings
from finkray.storage.contract import Storage
from finkray.storage.layout import schema_path
from finkray.storage.schema_ids import read_schema_ids
from finkray.storage.schemas import schema_problem

_MESSAGES_TRIED = 8
"""Messages that are decoded to find a schema: the newest, which Kafka keeps longest."""


def restore_schemas(settings: Settings, storage: Storage, tell: Callable[[str], None]) -> None:
    """Write each wrong schema file again, if a message with that schema is still in Kafka.

    A container has its schema. That of a frame is looked up by its id in the folder and the
    registry of the settings, as for a new alert.

    Parameters
    ----------
    settings
        all settings
    storage
        of the archive, taken over by the caller
    tell
        receives a line about each wrong file

    Raises
    ------
    KafkaUnavailable
        if no broker answers; only asked if a file is wrong
    LedgerError, StorageError
        if the archive cannot be read
    """
    fingerprints = {fingerprint for _, fingerprint in archived_schemas(storage)}
    problems = {
        fingerprint: problem
        for fingerprint in sorted(fingerprints - {NO_FINGERPRINT})
        if (problem := schema_problem(storage, fingerprint)) is not None
    }
    if not problems:
        return
    # Without tables of schemas, which may need the very schema that is damaged.
    decoder = make_decoder(
        settings.packets, int(settings.kafka.max_message_bytes), read_schema_ids(storage)
    )
    newest: dict[str, deque[Claim]] = defaultdict(lambda: deque(maxlen=_MESSAGES_TRIED))
    for fingerprint, source, offset in _files(storage):
        if fingerprint in problems:
            newest[fingerprint].append(Claim(source, offset, offset))
    kafka = Rereader(settings)
    try:
        for fingerprint, problem in problems.items():
            for claim in reversed(newest[fingerprint]):
                messages = list(kafka.messages(claim.source, {claim.first_offset}))
                found = make_batch(claim, messages, (), decoder).schemas if messages else {}
                if fingerprint in found:
                    storage.replace(schema_path(fingerprint), found[fingerprint].encode())
                    tell(f"{schema_path(fingerprint)} was {problem}, and is written again")
                    break
            else:
                tell(
                    f"{schema_path(fingerprint)} is {problem}, and Kafka has no message any more "
                    "that leads to it: restore it from a copy of the archive"
                )
    finally:
        kafka.close()


def _files(storage: Storage) -> Iterator[tuple[str, TopicPartition, int]]:
    """Yield fingerprint, partition and first offset of each file of alerts, in order of commit."""
    for table in claim_tables(storage, COLUMNS, read_state(storage).state.last_seq):
        for batch in table.to_batches(max_chunksize=1024):
            for row in batch.to_pylist(maps_as_pydicts="strict"):
                result = ClaimResult.from_json(row)
                for file in result.files:
                    yield str(file.schema_fingerprint), result.claim.source, file.first_offset
