"""Settings `[packets]`: survey and schemas of the packets on each topic."""

import re
from typing import Annotated, Any, Final

from pydantic import (
    BeforeValidator,
    ByteSize,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
)

from finkray.settings.section import MiB, Options, Section, read_secret, reveal
from finkray.surveys import SURVEYS

ANY_SURVEY: Final = "any"


def _patterns(raw: Any) -> Any:
    """Refuse a key that is not a regular expression; pydantic refuses what is not a table."""
    if isinstance(raw, dict):
        for pattern in raw:
            try:
                re.compile(str(pattern))
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    return raw


ByTopic = Annotated[dict[str, str], BeforeValidator(_patterns)]
"""Regular expression that is searched in the name of a topic, and its value for such topics."""


class PacketSettings(Section):
    """Survey and schemas of the packets."""

    surveys: ByTopic = Field(
        {survey.topics: survey.name for survey in SURVEYS.values()},
        description="Regular expressions for topics, and the survey of their alerts: `ztf`, `lsst` "
        "or `any`; alerts of another survey become dead letters. The first match counts; on a "
        "topic without a match any Avro record is an alert",
    )
    dead_letter_bytes: ByteSize = Field(
        ByteSize(16 * MiB),
        ge=0,
        description="Most bytes of a message that are kept with its dead letter",
    )
    schema_folder: str = Field(
        "",
        description="Folder with the schemas of Confluent frames: `<id>.avsc`, or "
        "`<major>/<minor>/*.alert.avsc` with its parts beside it, as LSST publishes them. All "
        "nodes must see it under the same path; it is read again for an id that it lacked",
    )
    registry_url: str = Field(
        "", description="Schema registry for ids that the folder does not have"
    )
    registry_username: str = Field("", description="User name")
    registry_password: SecretStr = Field(
        SecretStr(""), description="Password; better in the environment or in a file than here"
    )
    registry_password_file: str = Field("", description="File that contains the password alone")
    registry_options: Options = Field(
        {},
        description="Any property of confluent-kafka's SchemaRegistryClient, passed on as it is; "
        "overrides what finkray sets",
    )
    schema_retry_s: PositiveFloat = Field(
        60.0,
        description="Seconds before an unknown id is looked up again; its packets become dead "
        "letters until then",
    )
    max_columns: PositiveInt = Field(
        1600,
        le=10_000,
        description="Most columns that the schema of a packet may have, those in records included "
        "(ZTF's has 205, LSST's 390); packets with more become dead letters",
    )
    new_schemas_per_h: PositiveInt = Field(
        64,
        description="Most new schemas of a topic within an hour; packets with further ones become "
        "dead letters",
    )
    bare: ByTopic = Field(
        {},
        description="Regular expressions for topics with bare Avro records, and the file of their "
        "schema",
    )

    @field_validator("surveys")
    @classmethod
    def _surveys_are_known(cls, surveys: dict[str, str]) -> dict[str, str]:
        known = [*SURVEYS, ANY_SURVEY]
        for topic, survey in surveys.items():
            if survey not in known:
                raise ValueError(f"{topic!r} has the unknown survey {survey!r}; known are {known}")
        return surveys

    @field_validator("registry_url")
    @classmethod
    def _registry_is_on_the_web(cls, url: str) -> str:
        if url and not re.match(r"https?://[^/]", url):
            raise ValueError("expected the address of a registry: http://host:8081")
        if "@" in url:
            raise ValueError("name and password belong into registry_username and _password")
        return url

    @field_validator("registry_options")
    @classmethod
    def _the_address_is_in_registry_url(cls, options: dict[str, Any]) -> dict[str, Any]:
        # `registry_url` alone is checked for a password before it is shown.
        if "url" in options:
            raise ValueError("the address belongs into registry_url")
        return options

    def survey_of(self, topic: str) -> str | None:
        """Return the survey of a topic's alerts; None if any Avro record is an alert there."""
        survey = _first(self.surveys, topic)
        return None if survey == ANY_SURVEY else survey

    def bare_schema_file(self, topic: str) -> str | None:
        """Return the file with the schema of a topic's bare records; None if it has none."""
        return _first(self.bare, topic)

    def registry_config(self) -> dict[str, str | bool | int | float]:
        """Return the properties for the registry's client with the secrets in clear, for it alone.

        Raises
        ------
        SettingsError
            If `registry_password_file` cannot be read or is empty.
        """
        config: dict[str, str | bool | int | float] = {"url": self.registry_url}
        if self.registry_username:
            password = read_secret(
                "packets.registry_password_file",
                self.registry_password_file,
                self.registry_password,
            )
            config["basic.auth.user.info"] = f"{self.registry_username}:{password}"
        return config | reveal(self.registry_options)


def _first(table: dict[str, str], topic: str) -> str | None:
    return next((value for pattern, value in table.items() if re.search(pattern, topic)), None)
