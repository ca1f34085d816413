"""The tree of all errors that finkray raises on purpose.

    FinkrayError
    ├── SettingsError            a setting is unknown, missing or not valid
    ├── KafkaUnavailable    (r)  no broker answers, or the answer was transient
    ├── TopicChanged        (r)  the topic was deleted, or deleted and created again
    ├── MessageRefused           Kafka will never accept this message, as one that is too large
    ├── ProducerFenced           a newer producer has the same transactional id: stop at once
    ├── BatchGone           (r)  the ingest actor does not hold the batch (any more)
    ├── MemoryExceeded      (r)  an ingest actor took more memory than it may, and ends
    ├── ClusterUnavailable  (r)  Ray, Spark or the JVM behind it stopped answering
    ├── CodeMismatch             a worker runs another version of finkray than its driver
    ├── StorageError        (r)  the storage refused: full, read-only, gone
    ├── LedgerReplaced           the ledger was rebuilt: whatever follows it begins anew
    ├── SchemaError              an Avro schema that is invalid or cannot be archived
    │   └── TooManyColumns       it has more columns than allowed
    ├── SchemaUnavailable   (r)  no schema source (folder or registry) is reachable
    ├── ServiceError             a service cannot be loaded, or breaks its contract
    ├── CatalogError             a reference catalogue does not match its description
    ├── CatalogUnavailable  (r)  a shard of a reference catalogue cannot be read now
    ├── UnknownObject            the archive has no alert of the object
    ├── TooFewPoints             a light curve has too few points for a period
    ├── NightError               the HATS collection of a night cannot be built, or is damaged
    ├── OutlierError             a model of outliers cannot be built, or is damaged
    ├── FilterError              a filter of alerts cannot be read or published
    └── LedgerError
        ├── LedgerCorrupt        the ledger contradicts itself or an entry is missing
        ├── Fenced               a newer archive has taken over this ledger: stop at once
        └── ArchiveHeld          another archive writes the same folder

(r): ``retriable``: the same call may succeed later, without a repair by a person.
A packet that does not decode is not an error but a result: see `finkray.packets.decode.Reject`.
"""

from typing import ClassVar

__all__ = [
    "ArchiveHeld",
    "BatchGone",
    "CatalogError",
    "CatalogUnavailable",
    "ClusterUnavailable",
    "CodeMismatch",
    "Fenced",
    "FilterError",
    "FinkrayError",
    "KafkaUnavailable",
    "LedgerCorrupt",
    "LedgerError",
    "LedgerReplaced",
    "MemoryExceeded",
    "MessageRefused",
    "NightError",
    "OutlierError",
    "ProducerFenced",
    "SchemaError",
    "SchemaUnavailable",
    "ServiceError",
    "SettingsError",
    "StorageError",
    "TooFewPoints",
    "TooManyColumns",
    "TopicChanged",
    "UnknownObject",
]


class FinkrayError(Exception):
    """The base of the tree. The message says what is wrong and, where known, what to do."""

    retriable: ClassVar[bool] = False


class SettingsError(FinkrayError):
    """A setting is unknown, missing or not valid; the message names it."""


class KafkaUnavailable(FinkrayError):
    """No broker answers, or the answer was transient."""

    retriable = True


class TopicChanged(FinkrayError):
    """The topic was deleted, or deleted and created again, while it was read."""

    retriable = True


class MessageRefused(FinkrayError):
    """Kafka will never take this message: it is too large, or breaks the topic's rules."""


class ProducerFenced(FinkrayError):
    """A newer producer has the same transactional id, or Kafka gave this one up: stop at once."""


class BatchGone(FinkrayError):
    """The ingest actor does not hold the batch of the claim (any more)."""

    retriable = True


class MemoryExceeded(FinkrayError):
    """An ingest actor took more memory than `ingest.memory_bytes`, and ends."""

    retriable = True


class ClusterUnavailable(FinkrayError):
    """Ray, Spark or the JVM behind it stopped answering."""

    retriable = True


class CodeMismatch(FinkrayError):
    """A worker runs another version of finkray than its driver."""


class StorageError(FinkrayError):
    """The storage refused: full, read-only or gone. It may accept later."""

    retriable = True


class LedgerReplaced(FinkrayError):
    """The ledger was rebuilt: its entries have other numbers than when it was followed."""


class SchemaError(FinkrayError):
    """An Avro schema that is not valid or cannot be archived; the message says why."""


class TooManyColumns(SchemaError):
    """An Avro schema with more columns than `packets.max_columns`."""


class SchemaUnavailable(FinkrayError):
    """No schema source (folder or registry) is reachable."""

    retriable = True


class ServiceError(FinkrayError):
    """A service cannot be loaded or breaks its contract; the message says how."""


class CatalogError(FinkrayError):
    """A reference catalogue does not match its description; the message names the column."""


class CatalogUnavailable(FinkrayError):
    """A shard of a reference catalogue cannot be read now."""

    retriable = True


class UnknownObject(FinkrayError):
    """The archive has no alert of the object whose light curve is read."""


class TooFewPoints(FinkrayError):
    """A light curve has too few points for a period; the message says how many it has."""


class NightError(FinkrayError):
    """The HATS collection of a night cannot be built, or is damaged; the message says why."""


class OutlierError(FinkrayError):
    """A model of outliers cannot be built or used, or is damaged; the message says why."""


class FilterError(FinkrayError):
    """A filter of alerts cannot be read, found or published; the message says why."""


class LedgerError(FinkrayError):
    """The ledger cannot be used."""


class LedgerCorrupt(LedgerError):
    """The ledger contradicts itself, or an entry is missing."""


class Fenced(LedgerError):
    """A newer archive has taken over this ledger: the process must stop at once."""


class ArchiveHeld(LedgerError):
    """Another archive writes the same folder."""
