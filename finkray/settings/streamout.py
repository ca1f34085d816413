"""Settings `[streamout]`: filters, and the Kafka that their topics are in."""

from typing import Annotated

from pydantic import (
    ByteSize,
    Field,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    field_validator,
)

from finkray.settings.client_options import SETTINGS_OF_STREAMOUT, refuse_set_elsewhere
from finkray.settings.section import MiB, Options, Section, reveal


class StreamoutSettings(Section):
    """Filters of alerts, and the Kafka that their topics are in."""

    instance: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")] = Field(
        "main",
        description="Name of this streaming out: of two processes with one name the later one "
        "goes on and the other ends",
    )
    bootstrap_servers: str = Field(
        "",
        description="Addresses of brokers of the topics of filters; empty: those of `[kafka]`, "
        "with its login",
    )
    options: Options = Field(
        {},
        description="Any property of librdkafka for the clients that write; with "
        "`bootstrap_servers` also the login",
    )
    registry_url: Annotated[str, StringConstraints(pattern=r"^(https?://[^/@]+(/[^@]*)?)?$")] = (
        Field(
            "",
            description="Schema registry, as http://host:8081, that gets the schemas of topics of "
            "the form `confluent` as `<topic>-value`. Empty: schemas are written to the topic "
            "of schemas only",
        )
    )
    registry_options: Options = Field(
        {},
        description="Any property of confluent-kafka's SchemaRegistryClient, as "
        "`basic.auth.user.info`; overrides what finkray sets",
    )
    partitions: PositiveInt = Field(
        2,
        description="Partitions of a new topic. A transaction that touches 10 partitions takes "
        "7 ms, 100 take 74 ms",
    )
    replication_factor: PositiveInt = Field(
        1, description="Copies of each partition of a new topic"
    )
    max_message_bytes: ByteSize = Field(
        ByteSize(10 * MiB),
        ge=1024,
        description="Largest message that is sent; a larger one is counted as refused",
    )
    dead_writer_s: float = Field(
        20.0,
        ge=13,
        description="Longest time in seconds that readers of committed messages wait for a process "
        "that died in a transaction, if no other takes over. A transaction may last 11 s less than "
        "this, because brokers end timed-out transactions only every 10 s",
    )
    needs_s: PositiveFloat = Field(
        10.0,
        description="Seconds after an alert became durable for which it waits for results that a "
        "filter needs; then it is not judged until they come",
    )
    late_s: PositiveFloat = Field(
        86_400.0,
        description="Seconds after which results that come late are not waited for any longer: no "
        "amendment follows then",
    )
    batch_rows: PositiveInt = Field(2000, description="Most alerts that a filter gets at a time")
    batch_s: PositiveFloat = Field(5.0, description="Time limit of a filter for a batch, in s")
    load_s: PositiveFloat = Field(60.0, description="Time limit for loading a filter, in seconds")
    memory_bytes: ByteSize = Field(
        ByteSize(1024 * MiB), ge=64 * MiB, description="Most memory of the process of a filter"
    )
    nice: int = Field(5, ge=0, le=19, description="Niceness of the filters' processes, 0 to 19")
    breaker_failures: PositiveInt = Field(
        3, description="Consecutive failed batches before a filter rests"
    )
    breaker_rest_s: PositiveFloat = Field(
        10.0, description="First rest of a filter, in seconds; it doubles while batches fail"
    )
    breaker_longest_rest_s: PositiveFloat = Field(
        300.0, description="Longest rest of a filter, in seconds"
    )
    quota_per_h: PositiveInt = Field(
        100_000,
        description="Most alerts of one hour that a filter sends, by the hour in which Kafka got "
        "them; `--quota` of `finkray filter publish` gives a filter its own. More are counted as "
        "refused",
    )
    max_share: float = Field(
        0.1,
        gt=0,
        le=1,
        description="`finkray filter check` and `test` warn of a filter that more than this share "
        "of the alerts pass",
    )

    @field_validator("options")
    @classmethod
    def _options_are_not_set_elsewhere(cls, options: Options) -> Options:
        refuse_set_elsewhere(options, SETTINGS_OF_STREAMOUT)
        return options

    def registry_config(self) -> dict[str, str | bool | int | float]:
        """Return the properties of the registry's client, secrets in clear; none without one."""
        if not self.registry_url:
            return {}
        return {"url": self.registry_url} | reveal(self.registry_options)

    def own_client_config(self) -> dict[str, str | bool | int | float]:
        """Return the properties of librdkafka that are set here, secrets in clear."""
        config: dict[str, str | bool | int | float] = {
            "message.max.bytes": int(self.max_message_bytes)
        }
        if self.bootstrap_servers:
            config["bootstrap.servers"] = self.bootstrap_servers
        return config | reveal(self.options)
