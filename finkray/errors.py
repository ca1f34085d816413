"""Every error finkray raises on purpose.

    FinkrayError
    ├── SettingsError            a setting is unknown, missing or of the wrong kind
    ├── KafkaUnavailable    (r)  no broker answers, or the answer was transient
    ├── TopicChanged        (r)  the topic was deleted or made anew while it was read
    ├── MessageRefused           Kafka will never take this message: it is too large, say
    ├── ProducerFenced           a newer producer has the same transactional id: stop at once
    ├── BatchGone           (r)  the actor that was asked does not hold the batch (any more)
    ├── ClusterUnavailable  (r)  Ray, Spark or the JVM behind it stopped answering
    ├── CodeMismatch             a worker runs another version of finkray than its driver
    ├── StorageError        (r)  the file system refused: full, read-only, gone
    ├── SchemaError              an Avro schema that is invalid or cannot be archived
    ├── SchemaUnavailable   (r)  nobody who may know a schema answers now
    ├── ServiceError             a service cannot be loaded, or breaks its contract
    ├── CatalogError             a reference catalogue cannot be what its description says
    ├── CatalogUnavailable  (r)  a shard of a reference catalogue cannot be read now
    └── LedgerError
        ├── LedgerCorrupt        the ledger contradicts itself or an entry is missing
        ├── Fenced               a newer archive has taken this ledger over: stop at once
        └── ArchiveHeld          another archive is alive on the same folder

(r): ``retriable``: the same call may work later, with nothing mended by a person.
A packet that does not decode is no error at all but a result: see `finkray.packets.decode.Reject`.
"""

from typing import ClassVar


class FinkrayError(Exception):
    """The base of the tree. The message says what happened and, where known, what to do."""

    retriable: ClassVar[bool] = False


class SettingsError(FinkrayError):
    """A setting is unknown, missing or of the wrong kind; the message names it."""


class KafkaUnavailable(FinkrayError):
    """No broker answers, or the answer was transient."""

    retriable = True


class TopicChanged(FinkrayError):
    """The topic was deleted or made anew while it was read."""

    retriable = True


class MessageRefused(FinkrayError):
    """Kafka will never take this message: it is too large, or breaks the topic's rules."""


class ProducerFenced(FinkrayError):
    """A newer producer has the same transactional id, or Kafka gave this one up: stop at once."""


class BatchGone(FinkrayError):
    """The batch of a claim is not held (any more) by the actor that was asked for it."""

    retriable = True


class ClusterUnavailable(FinkrayError):
    """Ray, Spark or the JVM behind it stopped answering."""

    retriable = True


class CodeMismatch(FinkrayError):
    """A worker runs another version of finkray than its driver."""


class StorageError(FinkrayError):
    """The file system refused: full, read-only or gone. It may be well again later."""

    retriable = True


class SchemaError(FinkrayError):
    """An Avro schema that is not valid or cannot be archived; the message says why."""


class SchemaUnavailable(FinkrayError):
    """Nobody who may know a schema answers now."""

    retriable = True


class ServiceError(FinkrayError):
    """A service cannot be loaded or breaks its contract; the message says how."""


class CatalogError(FinkrayError):
    """A reference catalogue cannot be what its description says; the message names the column."""


class CatalogUnavailable(FinkrayError):
    """A shard of a reference catalogue cannot be read now."""

    retriable = True


class LedgerError(FinkrayError):
    """Something is wrong with the ledger."""


class LedgerCorrupt(LedgerError):
    """The ledger contradicts itself, or an entry is missing."""


class Fenced(LedgerError):
    """A newer archive has taken this ledger over: whoever meets this stops at once."""


class ArchiveHeld(LedgerError):
    """Another archive is alive on the same folder."""
