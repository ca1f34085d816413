"""What finkray must know to read a Kafka; and the two shapes that settings share."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    InstanceOf,
    PositiveFloat,
    SecretStr,
    field_validator,
    model_validator,
)

from finkray.errors import SettingsError
from finkray.settings.reader import SECRET_NAME

MiB: Final = 1024 * 1024

TOPIC_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
"""What Kafka allows as the name of a topic (`org.apache.kafka.common.internals.Topic`)."""


def _hide_secret_options(raw: Any) -> Any:
    """Wrap the values that must not be shown; whatever is no table is left to pydantic."""
    if not isinstance(raw, Mapping):
        return raw
    options = dict(raw)
    for key, value in raw.items():
        if isinstance(value, SecretStr):
            continue
        if not isinstance(value, str | bool | int | float):
            raise ValueError(f"{key}: expected text, a number, true or false")  # noqa: TRY004
        if SECRET_NAME.search(str(key)):
            options[key] = SecretStr(str(value))
    return options


def _one_or_many(raw: Any) -> Any:
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


Options = Annotated[
    dict[str, InstanceOf[SecretStr] | bool | int | float | str],
    BeforeValidator(_hide_secret_options),
]
"""Options that are passed on as they are; the secret ones are masked wherever they are shown."""


class Section(BaseModel):
    """One table of the settings file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class KafkaSettings(Section):
    """The Kafka that the alerts come from. It is only read."""

    bootstrap_servers: str = Field(
        "127.0.0.1:9092", min_length=1, description="Brokers to ask first, `host:port`, with commas"
    )
    topics: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = Field(
        (r"^ztf_\d{8}_programid1$",),
        min_length=1,
        description="Names of topics; one that starts with `^` is a regular expression",
    )
    start: Annotated[Literal["earliest", "latest"] | AwareDatetime, BeforeValidator(_start)] = (
        Field(
            "earliest",
            description="Where a new archive begins in what its first look finds: `earliest`, "
            "`latest` or a time in ISO 8601 with its zone. What comes later is read from its "
            "beginning",
        )
    )
    group_id: str = Field(
        "finkray-archive", min_length=1, description="Group under which offsets are committed"
    )
    commit_offsets: bool = Field(
        default=True,
        description="Commit offsets for those who watch the group's lag. A courtesy that may "
        "fail: the archive's own ledger decides where to go on",
    )
    refresh_s: PositiveFloat = Field(
        10.0, description="Seconds between two looks for new topics and partitions"
    )
    max_message_bytes: ByteSize = Field(
        ByteSize(8 * MiB),
        ge=1024,
        description="Largest message that is archived; a larger one becomes a dead letter",
    )
    sasl_username: str = Field(
        "",
        description="Name to log in with; given one, `security.protocol` is SASL_SSL and "
        "`sasl.mechanism` SCRAM-SHA-512 unless `options` say otherwise",
    )
    sasl_password: SecretStr = Field(
        SecretStr(""), description="Password; better in the environment or in a file than here"
    )
    sasl_password_file: str = Field("", description="File that holds the password and nothing else")
    options: Options = Field(
        {},
        description="Any property of librdkafka, passed on as it is; wins over what finkray sets",
    )

    @field_validator("topics")
    @classmethod
    def _topics_are_names_or_patterns(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        for topic in topics:
            if topic.startswith("^"):
                try:
                    re.compile(topic)
                except re.error as error:
                    raise ValueError(f"{topic!r} is no regular expression: {error}") from None
            elif not TOPIC_NAME.fullmatch(topic):
                raise ValueError(
                    f"{topic!r} is no name of a topic; a regular expression starts with ^"
                )
        return topics

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
        """Whether a topic of this name is to be read."""
        return any(
            re.search(wanted, topic) is not None if wanted.startswith("^") else wanted == topic
            for wanted in self.topics
        )

    def client_config(self) -> dict[str, str | bool | int | float]:
        """The properties for librdkafka with the secrets in clear, for the client alone.

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


def read_secret(setting: str, file: str, value: SecretStr) -> str:
    """A secret that a setting holds, or that stands in the file which another one names.

    Parameters
    ----------
    setting
        name of the setting that gave the file, for the error
    file
        the file, or nothing
    value
        what counts if there is no file

    Raises
    ------
    SettingsError
        If the file cannot be read or is empty.
    """
    if not file:
        return value.get_secret_value()
    try:
        secret = Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{setting} = {file!r} cannot be read: {error.strerror}") from error
    if not secret:
        raise SettingsError(f"{setting} = {file!r} is empty")
    return secret


def reveal(options: Options) -> dict[str, str | bool | int | float]:
    """Pass-through options with the secrets in clear, for the library that needs them."""
    return {
        key: value.get_secret_value() if isinstance(value, SecretStr) else value
        for key, value in options.items()
    }
