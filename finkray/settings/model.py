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
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    ByteSize,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
    model_validator,
)

from finkray.settings.catalogs import CatalogSettings
from finkray.settings.kafka import TOPIC_NAME, KafkaSettings, MiB, Options, Section, reveal
from finkray.settings.packets import PacketSettings
from finkray.settings.reader import read_settings
from finkray.settings.services import ServiceSettings
from finkray.storage.opening import folder_of

__all__ = [
    "ArchiveSettings",
    "CatalogSettings",
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

PACE: Final = re.compile(r"max|realtime|original|x\d+(\.\d+)?|\d+(\.\d+)?(x|/s)")


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
    hang_s: PositiveFloat = Field(
        120.0,
        description="Seconds for which the driver may stand still, as when its JVM hangs; then a "
        "fresh process takes over",
    )
    low_disk_bytes: ByteSize = Field(
        ByteSize(10 * 1024 * MiB),
        ge=0,
        description="The alarm LOW_DISK is raised when less than this is free on the archive's "
        "disk; 0 is never",
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

    actors: PositiveInt = Field(1, le=1024, description="How many actors share the partitions")
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
        80.0,
        description="Seconds that a service gets to drain and end before Ray kills it; the archive "
        "takes 75 at most",
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


Share = Annotated[float, Field(ge=0, le=1)]
"""A part of all, from 0 to 1."""


def _has_zone(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


TOPIC_OF_SURVEY: Final = {"ztf": "ztf_{date}_programid1", "lsst": "lsst_alerts_{date}"}


class SimulatorSettings(Section):
    """A real Kafka on this machine, and the alerts that are played into it."""

    kafka_port: int = Field(0, ge=0, le=65535, description="Port of its Kafka; 0 is any free one")
    survey: Literal["ztf", "lsst"] = Field("ztf", description="Whose alerts: `ztf` or `lsst`")
    topic: str = Field(
        "",
        description="Topic to play into; `{date}` is today's UTC date as YYYYMMDD; empty is "
        "`ztf_{date}_programid1` or `lsst_alerts_{date}`",
    )
    partitions: PositiveInt = Field(4, description="Partitions of the topic")
    alerts: int = Field(10_000, ge=0, description="How many alerts to play; 0 is without end")
    alerts_per_visit: PositiveInt = Field(
        10_000, le=100_000, description="How many alerts a visit has, about"
    )
    plane_alerts: PositiveInt = Field(
        32_000, le=100_000, description="The same for visits to the Galactic plane"
    )
    visit_s: PositiveFloat = Field(37.0, description="Seconds from one visit to the next")
    pace: str = Field(
        "max",
        description="`max`; `realtime` (a visit each `visit_s`), a factor `x10` of it; `original` "
        "(as the exposures came), a factor `10x` of it; or a rate `500/s`",
    )
    seed: int = Field(1, ge=0, description="The same seed makes the same alerts")
    data: str = Field(
        "",
        description="Folder or tar of Avro packets to play in place of made ones; empty makes them",
    )
    poison: Share = Field(
        0.0, description="Broken messages that come between the alerts, as a share of these"
    )
    duplicates: Share = Field(
        0.0, description="Share of the alerts that come again, up to 1000 alerts later"
    )
    out_of_order: Share = Field(
        0.0,
        description="Share of the alerts that come up to 1000 alerts after their turn, with the "
        "time of their turn in Kafka",
    )
    late: Share = Field(
        0.0, description="Share of the alerts whose time in Kafka is 1 to 48 hours ago"
    )
    oversize: Share = Field(
        0.0, description="Alerts that come also in a version of `oversize_bytes`, as a share"
    )
    oversize_bytes: ByteSize = Field(
        ByteSize(9_000_000),
        ge=1024,
        le=9_800_000,
        description="How large these are; its Kafka takes less than 10 MB",
    )
    schema_bump: str = Field(
        "",
        description="When packets of the next schema begin (ZTF 3.3 to 4.02, LSST 10.0 to 11.0): "
        "after so many alerts, or a UTC time; empty is never",
    )
    transactions: Share = Field(
        0.0,
        description="Share of transactions that are aborted and sent again; 0 sends without any",
    )
    manifest: str = Field(
        "",
        description="Folder, empty or new, in which is written what was played and what each "
        "object is, for `finkray simulator check`; empty writes nothing",
    )
    schema_folder: str = Field(
        "",
        description="Folder in which LSST's schemas are written for the archive; empty is one "
        "that `finkray start archive --simulator` knows",
    )

    @field_validator("pace")
    @classmethod
    def _pace_is_known(cls, pace: str) -> str:
        if not PACE.fullmatch(pace):
            raise ValueError(
                'expected "max", "realtime", a factor of it "x10", "original", a factor of it '
                '"10x", or a rate "500/s"'
            )
        return pace

    @field_validator("topic")
    @classmethod
    def _topic_can_be_made(cls, topic: str) -> str:
        if topic and not TOPIC_NAME.fullmatch(topic.replace("{date}", "20260131")):
            raise ValueError("expected a name that Kafka allows, with or without {date}")
        return topic

    @field_validator("schema_bump")
    @classmethod
    def _bump_has_a_time(cls, text: str) -> str:
        if text and not text.isdecimal() and not _has_zone(text):
            raise ValueError("expected a number of alerts, or a time such as 2026-01-31T00:00:00Z")
        return text

    @property
    def topic_pattern(self) -> str:
        """The topic, in which `{date}` may stand for a date."""
        return self.topic or TOPIC_OF_SURVEY[self.survey]


class Settings(Section):
    """All settings."""

    kafka: KafkaSettings = KafkaSettings()
    packets: PacketSettings = PacketSettings()
    archive: ArchiveSettings = ArchiveSettings()
    ingest: IngestSettings = IngestSettings()
    spark: SparkSettings = SparkSettings()
    services: ServiceSettings = ServiceSettings()
    ray: RaySettings = RaySettings()
    catalogs: CatalogSettings = CatalogSettings()
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

    @model_validator(mode="after")
    def _the_web_is_given_up_first(self) -> "Settings":
        for name, remote in self.catalogs.remote.items():
            if remote.timeout_s >= self.services.batch_s:
                raise ValueError(
                    f"catalogs.remote.{name}.timeout_s = {remote.timeout_s:g} is not less than "
                    f"services.batch_s = {self.services.batch_s:g}, after which a batch is ended"
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
