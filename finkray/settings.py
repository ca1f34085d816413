"""Every setting of finkray: frozen, typed, described.

    settings = load(Path("conf/finkray.toml"))
    settings.ingest.held_bytes

A setting comes from, the later winning: the default below, the file, the environment
(`FINKRAY__SECTION__KEY`), and what a command says. `docs/settings.md` lists them all.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    ByteSize,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
    model_validator,
)

from finkray.settings_kafka import TOPIC_NAME, KafkaSettings, MiB, Options, Section, reveal
from finkray.settings_packets import PacketSettings
from finkray.settings_reader import read_settings
from finkray.settings_services import ServiceSettings
from finkray.storage_open import folder_of

__all__ = [
    "ArchiveSettings",
    "IngestSettings",
    "KafkaSettings",
    "PacketSettings",
    "RaySettings",
    "ServiceSettings",
    "Settings",
    "SimulatorSettings",
    "SparkSettings",
    "UiSettings",
    "load",
    "reveal",
]

PACE: Final = re.compile(r"max|original|\d+(\.\d+)?x|\d+(\.\d+)?/s")


Resources = dict[str, Annotated[float, Field(gt=0)]]
"""Ray's custom resources that a process asks for, by name."""


class ArchiveSettings(Section):
    """Where the Parquet database lies."""

    uri: str = Field(
        "archive",
        min_length=1,
        description="Folder of the archive: a path (relative to where the command is given) or "
        "`file:///path`; all nodes see it under this name",
    )
    lease_ttl_s: float = Field(
        15.0,
        ge=1,
        description="Seconds after which an archive that no longer reports counts as dead and "
        "another may take its folder over",
    )

    @field_validator("uri")
    @classmethod
    def _uri_is_a_folder(cls, uri: str) -> str:
        folder_of(uri)
        return uri

    @property
    def root(self) -> Path:
        """The archive's folder as an absolute path."""
        return folder_of(self.uri)


class IngestSettings(Section):
    """The Ray actors that read Kafka, decode, and hold Arrow batches until they are durable."""

    actors: PositiveInt = Field(2, le=1024, description="How many actors share the partitions")
    held_bytes: ByteSize = Field(
        ByteSize(512 * MiB),
        ge=1 * MiB,
        description="Bytes that all actors together may hold; the intake pauses at this bound",
    )
    claim_bytes: ByteSize = Field(
        ByteSize(32 * MiB), ge=1024, description="A claim is cut at this many bytes"
    )
    claim_rows: PositiveInt = Field(2000, description="A claim is cut at this many messages")
    linger_s: PositiveFloat = Field(0.5, description="A claim is cut at this age in seconds")
    linger_max_s: PositiveFloat = Field(
        5.0, description="In a trickle claims are cut at up to this age, so that files are fewer"
    )
    backlog_offsets: int = Field(
        5000,
        ge=0,
        description="A partition with more than this in Kafka at a start is archived from its end "
        "on at once, and what lies before is brought in beside it",
    )
    backfill_per_s: float = Field(
        0.0, ge=0, description="Cap on the alerts/s of all backfills together; 0 is none"
    )
    max_restarts: int = Field(
        -1, ge=-1, description="How often Ray starts a dead actor again; -1 is always"
    )
    resources: Resources = Field({}, description="Custom Ray resources that each actor asks for")
    cpus_per_actor: float = Field(
        0.25, ge=0, description="Ray CPUs that each actor reserves; a reservation, not a limit"
    )


class SparkSettings(Section):
    """Structured Streaming on executors that RayDP hosts."""

    executors: PositiveInt = Field(1, description="How many executors write")
    executor_cores: PositiveInt = Field(2, description="Tasks that one executor runs at a time")
    executor_memory: str = Field(
        "1g", pattern=r"(?i)^\d+[kmgt]b?$", description="Heap of one executor, as Spark writes it"
    )
    executor_cpus: float = Field(
        0.5, ge=0, description="Ray CPUs that each executor reserves; a reservation, not a limit"
    )
    claims_per_micro_batch: PositiveInt = Field(
        8, description="Most claims that one micro-batch makes durable"
    )
    resources: Resources = Field({}, description="Custom Ray resources that each executor asks for")
    conf: Options = Field({}, description="Any property of Spark; wins over what finkray sets")


class RaySettings(Section):
    """The Ray cluster that the services run on."""

    address: str = Field(
        "auto",
        min_length=1,
        description="`auto`: the cluster that RAY_ADDRESS names, else a local one of our own; "
        "`local`: always our own; or `host:port` of a head",
    )
    namespace: str = Field("finkray", min_length=1, description="Ray namespace of the named actors")
    working_dir: str = Field(
        "",
        description="Folder with the code that Ray ships to its nodes; empty when finkray is "
        "installed on all of them",
    )
    stop_wait_s: PositiveFloat = Field(
        60.0, description="Seconds that a service gets to drain before Ray kills it"
    )
    local_cpus: int = Field(
        0, ge=0, description="Ray CPUs of the local cluster; 0 is as many as the machine has"
    )
    local_object_store_bytes: ByteSize = Field(
        ByteSize(1024 * MiB), ge=128 * MiB, description="Object store of the local cluster"
    )
    local_dashboard_port: int = Field(
        8265, ge=0, le=65535, description="Dashboard of the local cluster; if taken, any free port"
    )

    @field_validator("address")
    @classmethod
    def _address_is_of_a_head(cls, address: str) -> str:
        if address not in ("auto", "local") and not re.fullmatch(r"[^/\s]+:\d+", address):
            raise ValueError('expected "auto", "local" or host:port, such as "127.0.0.1:6379"')
        return address


class UiSettings(Section):
    """The page."""

    host: str = Field("127.0.0.1", min_length=1, description="Address that the page listens on")
    port: int = Field(5000, ge=1, le=65535, description="Port that the page listens on")
    refresh_s: PositiveFloat = Field(1.0, description="Seconds between two readings of the status")


class SimulatorSettings(Section):
    """A real Kafka on this machine, and the alerts that are played into it."""

    kafka_port: int = Field(0, ge=0, le=65535, description="Port of its Kafka; 0 is any free one")
    topic: str = Field(
        "ztf_{date}_programid1",
        min_length=1,
        description="Topic to play into; `{date}` is today's UTC date as YYYYMMDD",
    )
    partitions: PositiveInt = Field(4, description="Partitions of the topic")
    alerts: int = Field(10_000, ge=0, description="How many alerts to play; 0 is without end")
    pace: str = Field(
        "max",
        description="`max`, `original` (as the exposures came), a factor `10x` of it, or a rate "
        "`500/s`",
    )
    seed: int = Field(1, ge=0, description="The same seed makes the same alerts")
    data: str = Field(
        "",
        description="Folder or tar of Avro packets to play in place of made ones; empty makes them",
    )

    @field_validator("pace")
    @classmethod
    def _pace_is_known(cls, pace: str) -> str:
        if not PACE.fullmatch(pace):
            raise ValueError('expected "max", "original", a factor "10x" or a rate "500/s"')
        return pace

    @field_validator("topic")
    @classmethod
    def _topic_can_be_made(cls, topic: str) -> str:
        if not TOPIC_NAME.fullmatch(topic.replace("{date}", "20260131")):
            raise ValueError("expected a name that Kafka allows, with or without {date}")
        return topic


class Settings(Section):
    """All settings."""

    kafka: KafkaSettings = KafkaSettings()
    packets: PacketSettings = PacketSettings()
    archive: ArchiveSettings = ArchiveSettings()
    ingest: IngestSettings = IngestSettings()
    spark: SparkSettings = SparkSettings()
    services: ServiceSettings = ServiceSettings()
    ray: RaySettings = RaySettings()
    ui: UiSettings = UiSettings()
    simulator: SimulatorSettings = SimulatorSettings()

    @model_validator(mode="after")
    def _batches_fit(self) -> "Settings":
        share = self.ingest.held_bytes // self.ingest.actors
        for name, size in (
            ("ingest.claim_bytes", self.ingest.claim_bytes),
            ("kafka.max_message_bytes", self.kafka.max_message_bytes),
        ):
            if size > share:
                raise ValueError(
                    f"{name} = {size} does not fit into one actor's share of ingest.held_bytes, "
                    f"{self.ingest.held_bytes} / {self.ingest.actors} = {share} bytes"
                )
        return self

    def to_json_with_secrets(self) -> str:
        """All settings as JSON that `load` reads, secrets in clear: for a private file alone."""
        return json.dumps(self.model_dump(), default=_plain, indent=2)


def _plain(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value.isoformat()


def load(
    path: Path | None,
    env: Mapping[str, str] = os.environ,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> Settings:
    """Read the settings from a file, the environment and a command's own words.

    Parameters
    ----------
    path
        TOML file; None reads none. A ``.json`` file, as `Settings.to_json_with_secrets` makes
        it, has settings that are complete and decided: the environment no longer counts.
    env
        Environment; names that start with ``FINKRAY__`` count.
    overrides
        ``{section: {key: value}}``, wins over the rest.

    Raises
    ------
    SettingsError
        If the file cannot be read, a key is unknown (the nearest known one is named), or a
        value is of the wrong kind (key, value and what is expected are named).
    """
    decided = path is not None and path.suffix == ".json"
    return read_settings(Settings, path, {} if decided else env, overrides or {})
