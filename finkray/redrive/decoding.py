"""Make the decoder with which a command decodes messages for an archive that does not run."""

from finkray.ledger.claims import archived_schemas
from finkray.packets.decode import Decoder
from finkray.packets.decoder import make_decoder
from finkray.packets.table_schemas import TableSchemas
from finkray.settings.model import Settings
from finkray.storage.contract import Storage
from finkray.storage.schema_ids import read_schema_ids


def archive_decoder(settings: Settings, storage: Storage, *, read_only: bool = False) -> Decoder:
    """Return a decoder that knows the schemas of the archive, and the tables that alerts must fit.

    The caller is the archive's only writer, unless the decoder is `read_only`: then no schema is
    accepted into a table.

    Raises
    ------
    SettingsError
        if the settings of the packets are not valid
    LedgerError, StorageError
        if the archive cannot be read
    """
    tables = TableSchemas(storage, settings.packets, accepts=not read_only)
    if not read_only:
        tables.complete(lambda: archived_schemas(storage))
    return make_decoder(
        settings.packets,
        int(settings.kafka.max_message_bytes),
        read_schema_ids(storage),
        tables,
        any_number_of_schemas=True,
    )
