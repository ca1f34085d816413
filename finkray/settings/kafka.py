"""Settings `[kafka]`: the Kafka that the alerts come from."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    ByteSize,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
    model_validator,
)

from finkray.settings.client_options import SETTINGS_OF_KAFKA, refuse_set_elsewhere
from finkray.settings.section import MiB, Options, Section, read_secret, reveal

TOPIC_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
"""The names of topics that Kafka allows (`org.apache.kafka.common.internals.Topic`)."""

OWN_TOPIC_PREFIX: Final = "__"
"""Prefix of Kafka's own topics, such as `__consumer_offsets`, which no pattern matches."""


def _as_list(raw: Any) -> Any:
    return [raw] if isinstance(raw, str) else raw


def _start(raw: Any) -> Any:
    if isinstance(raw, str) and raw not in ("earliest", "latest"):
        try:
            raw = datetime.fromisoformat(raw)
        except ValueError:
            raise ValueError('expected "earliest", "latest" or a time in ISO 8601') from None
    if isinstance(raw, datetime) and raw.tzinfo is None:
        raise ValueError("expected a time with its zone, such as 2026-01-31T00:00:00Z")
    if isinstance(raw, datetime):
        return raw.astimezone(UTC)
    if not isinstance(raw, str):
        raise ValueError('expected "earliest", "latest" or a time in ISO 8601')  # noqa: TRY004
    return raw


class KafkaSettings(Section):
    """The Kafka that the alerts come from. It is only read."""

    bootstrap_servers: str = Field(
        "127.0.0.1:9092",
        min_length=1,
        description="Addresses of brokers, `host:port`, separated by commas",
    )
    topics: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = Field(
        (r"^ztf_\d{8}_programid1$",),
        min_length=1,
        description="Names of topics; one that starts with `^` is a regular expression, which "
        "does not match Kafka's own topics (`__…`)",
    )
    start: Annotated[Literal["earliest", "latest"] | AwareDatetime, BeforeValidator(_start)] = (
        Field(
            "earliest",
            description="Where a new archive begins in the partitions that exist at its start: "
            "`earliest`, `latest` or a time in ISO 8601 with its zone. Partitions that appear "
            "later are read from their beginning",
        )
    )
    group_id: str = Field(
        "finkray-archive", min_length=1, description="Consumer group whose offsets are committed"
    )
    commit_offsets: bool = Field(
        default=True,
        description="Commit the group's offsets, for tools that watch its lag. Nothing depends on "
        "it: the archive's own ledger decides where to go on",
    )
    refresh_s: PositiveFloat = Field(
        10.0, description="Seconds between two checks for new topics and partitions"
    )
    max_message_bytes: ByteSize = Field(
        ByteSize(8 * MiB),
        ge=1024,
        description="Largest message that is archived; a larger one becomes a dead letter",
    )
    unreadable_tries: PositiveInt = Field(
        3,
        description="How often, every 3 s, a record batch is tried that cannot be decompressed or "
        "whose checksum differs; then its offsets become a gap of the kind `unreadable`",
    )
    sasl_username: str = Field(
        "",
        description="User name; if given, `security.protocol` is SASL_SSL and "
        "`sasl.mechanism` SCRAM-SHA-512 unless `options` say otherwise",
    )
    sasl_password: SecretStr = Field(
        SecretStr(""), description="Password; better in the environment or in a file than here"
    )
    sasl_password_file: str = Field("", description="File that contains the password alone")
    options: Options = Field(
        {},
        description="Any property of librdkafka, passed on as it is; overrides finkray's defaults. "
        "What guarantees rest on, or has a setting of its own, is refused",
    )

    @field_validator("topics")
    @classmethod
    def _topics_are_names_or_patterns(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        for topic in topics:
            if topic.startswith("^"):
                try:
                    re.compile(topic)
                except re.error as error:
                    raise ValueError(f"{topic!r} is not a regular expression: {error}") from None
            elif not TOPIC_NAME.fullmatch(topic):
                raise ValueError(
                    f"{topic!r} is not a name of a topic; a regular expression starts with ^"
                )
        return topics

    @field_validator("options")
    @classmethod
    def _options_are_not_set_elsewhere(cls, options: Options) -> Options:
        refuse_set_elsewhere(options, SETTINGS_OF_KAFKA)
        return options

    @model_validator(mode="after")
    def _one_password(self) -> "KafkaSettings":
        if self.sasl_password.get_secret_value() and self.sasl_password_file:
            raise ValueError("sasl_password and sasl_password_file are both given: keep one")
        if self.sasl_username and not (
            self.sasl_password.get_secret_value()
            or self.sasl_password_file
            or "sasl.password" in self.options
        ):
            raise ValueError("sasl_username needs sasl_password or sasl_password_file")
        return self

    def wants(self, topic: str) -> bool:
        """Return whether a topic of this name is to be read."""
        if topic in self.topics:
            return True
        if topic.startswith(OWN_TOPIC_PREFIX):
            return False
        patterns = (configured for configured in self.topics if configured.startswith("^"))
        return any(re.search(pattern, topic) for pattern in patterns)

    def client_config(self) -> dict[str, str | bool | int | float]:
        """Return the properties for librdkafka with the secrets in clear, for the client alone.

        Raises
        ------
        SettingsError
            If `sasl_password_file` cannot be read or is empty.
        """
        config: dict[str, str | bool | int | float] = {
            "bootstrap.servers": self.bootstrap_servers,
            "group.id": self.group_id,
            "message.max.bytes": int(self.max_message_bytes),
        }
        if self.sasl_username:
            config |= {
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": self.sasl_username,
            }
            if password := read_secret(
                "kafka.sasl_password_file", self.sasl_password_file, self.sasl_password
            ):
                config["sasl.password"] = password
        return config | reveal(self.options)
