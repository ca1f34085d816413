"""Make the decoder that the settings describe."""

from collections.abc import Mapping

from finkray.avro.schema import WriterSchema
from finkray.errors import SchemaError, SettingsError
from finkray.host.home import expanded
from finkray.packets.decode import Decoder
from finkray.packets.new_schemas import NewSchemas
from finkray.packets.schema_folder import SchemaFolder, read_schema_file
from finkray.packets.schema_lookup import SchemaLookup, SchemaSource
from finkray.packets.table_schemas import TableSchemas
from finkray.packets.unwrap import TopicRules, Unwrapper
from finkray.settings.packets import PacketSettings
from finkray.surveys import SURVEYS


def make_decoder(
    packets: PacketSettings,
    max_message_bytes: int,
    known: Mapping[tuple[str, int], str],
    tables: TableSchemas | None = None,
    *,
    any_number_of_schemas: bool = False,
) -> Decoder:
    """Return a decoder for the packets that the settings describe.

    Parameters
    ----------
    packets
        the settings
    max_message_bytes
        larger messages become dead letters
    known
        schemas that were found before, by cluster and schema id, see
        `finkray.storage.schema_ids.read_schema_ids`
    tables
        the tables of the archive, which the alerts must fit; None: any schema is decoded
    any_number_of_schemas
        ignore `packets.new_schemas_per_h`: for a command that a person waits for

    Raises
    ------
    SettingsError
        if the schema of bare records cannot be read or is not valid, or the registry's client
        refuses its options
    """
    bare = {path: _bare_schema(path, packets.max_columns) for path in packets.bare.values()}

    def rules(topic: str) -> TopicRules:
        survey, path = packets.survey_of(topic), packets.bare_schema_file(topic)
        return TopicRules(
            survey=None if survey is None else SURVEYS[survey],
            bare_schema=None if path is None else bare[path],
        )

    lookup = SchemaLookup(_sources(packets), known, packets.schema_retry_s)
    unwrapper = Unwrapper(
        rules,
        lookup,
        max_message_bytes=max_message_bytes,
        max_columns=packets.max_columns,
        new_schemas=None if any_number_of_schemas else NewSchemas(packets.new_schemas_per_h),
    )
    return Decoder(unwrapper, tables)


def _sources(packets: PacketSettings) -> list[SchemaSource]:
    sources: list[SchemaSource] = []
    if packets.schema_folder:
        sources.append(SchemaFolder(expanded(packets.schema_folder)))
    if packets.registry_url:
        # Its client takes 0.1 s to load, in each process that decodes.
        from finkray.packets.schema_registry import SchemaRegistry

        sources.append(SchemaRegistry(packets.registry_config()))
    return sources


def _bare_schema(path: str, max_columns: int) -> str:
    try:
        text = read_schema_file(expanded(path))
        WriterSchema.from_text(text, max_columns)
    except SchemaError as error:
        raise SettingsError(f"packets.bare: {error}") from error
    return text
