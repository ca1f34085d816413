"""What finkray must know of the packets on the topics: whose they are, and with what written."""

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ByteSize, Field, PositiveFloat, SecretStr, field_validator

from finkray.settings.section import MiB, Options, Section, read_secret, reveal
from finkray.surveys import SURVEYS

ANY_SURVEY: Final = "any"


def _patterns(raw: Any) -> Any:
    """Refuse what is no regular expression; whatever is no table is left to pydantic."""
    if isinstance(raw, dict):
        for pattern in raw:
            try:
                re.compile(str(pattern))
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
    return raw


ByTopic = Annotated[dict[str, str], BeforeValidator(_patterns)]
"""A regular expression that is searched in a topic's name, and what holds for such topics."""


class PacketSettings(Section):
    """The packets: whose alerts they must be, and where the schemas of bare records are."""

    surveys: ByTopic = Field(
        {"^ztf_": "ztf", "^lsst": "lsst"},
        description="Regular expressions for topics, and the survey whose alerts belong there: "
        "`ztf`, `lsst` or `any`; others become dead letters. The first that fits counts; on a "
        "topic that none fits any Avro record is an alert",
    )
    dead_letter_bytes: ByteSize = Field(
        ByteSize(16 * MiB),
        ge=0,
        description="How many bytes of a message are kept with its dead letter",
    )
    schema_folder: str = Field(
        "",
        description="Folder with the schemas of Confluent frames: `<id>.avsc`, or "
        "`<major>/<minor>/*.alert.avsc` with its parts beside it, as LSST publishes them. All "
        "nodes see it under this name; looked into again for an id that it lacked",
    )
    registry_url: str = Field(
        "", description="Schema registry that is asked for an id which the folder does not have"
    )
    registry_username: str = Field("", description="Name to log in with")
    registry_password: SecretStr = Field(
        SecretStr(""), description="Password; better in the environment or in a file than here"
    )
    registry_password_file: str = Field(
        "", description="File that holds the password and nothing else"
    )
    registry_options: Options = Field(
        {},
        description="Any property of confluent-kafka's SchemaRegistryClient, passed on as it is; "
        "wins over what finkray sets",
    )
    schema_retry_s: PositiveFloat = Field(
        60.0,
        description="Seconds before an id that nobody knew is looked up again; its packets "
        "become dead letters meanwhile",
    )
    bare: ByTopic = Field(
        {},
        description="Regular expressions for topics that carry bare Avro records, and for each "
        "the file of their schema",
    )

    @field_validator("surveys")
    @classmethod
    def _surveys_are_known(cls, surveys: dict[str, str]) -> dict[str, str]:
        known = [*SURVEYS, ANY_SURVEY]
        for topic, survey in surveys.items():
            if survey not in known:
                raise ValueError(f"{topic!r} is said to be {survey!r}; known are {known}")
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
    def _the_address_stands_in_one_place(cls, options: dict[str, Any]) -> dict[str, Any]:
        # It is shown to people, who look at `registry_url` alone for a password in it.
        if "url" in options:
            raise ValueError("the address belongs into registry_url")
        return options

    def survey_of(self, topic: str) -> str | None:
        """The survey whose alerts belong on the topic; None if any Avro record does."""
        found = _first(self.surveys, topic)
        return None if found == ANY_SURVEY else found

    def bare_schema_file(self, topic: str) -> str | None:
        """The file with the schema of a topic's bare records; None if it carries none."""
        return _first(self.bare, topic)

    def registry_config(self) -> dict[str, str | bool | int | float]:
        """The properties for the registry's client with the secrets in clear, for it alone.

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
    return next((what for pattern, what in table.items() if re.search(pattern, topic)), None)
