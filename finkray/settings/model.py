"""Every setting of finkray: frozen, typed, described.

    settings = load(Path("conf/finkray.toml"))
    settings.ingest.held_bytes

A setting is read from these places, and a later one overrides an earlier one: the default of its
class, the file, the environment (`FINKRAY__SECTION__KEY`), the options of a command. Each table of
the file is a class in the module of its name beside this one. `docs/settings.md` lists all.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr, model_validator

from finkray.settings.archive import ArchiveSettings
from finkray.settings.catalogs import CatalogSettings
from finkray.settings.ingest import IngestSettings
from finkray.settings.kafka import KafkaSettings
from finkray.settings.packets import PacketSettings
from finkray.settings.ray import RaySettings
from finkray.settings.reader import read_settings
from finkray.settings.section import Section
from finkray.settings.services import ServiceSettings
from finkray.settings.simulator import SimulatorSettings
from finkray.settings.spark import SparkSettings
from finkray.settings.streamout import StreamoutSettings
from finkray.settings.ui import UiSettings


class Settings(Section):
    """All settings."""

    kafka: KafkaSettings = KafkaSettings()
    packets: PacketSettings = PacketSettings()
    archive: ArchiveSettings = ArchiveSettings()
    ingest: IngestSettings = IngestSettings()
    spark: SparkSettings = SparkSettings()
    services: ServiceSettings = ServiceSettings()
    streamout: StreamoutSettings = StreamoutSettings()
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
    def _remote_time_limits_are_below_that_of_a_batch(self) -> "Settings":
        for name, remote in self.catalogs.remote.items():
            if remote.timeout_s >= self.services.batch_s:
                raise ValueError(
                    f"catalogs.remote.{name}.timeout_s = {remote.timeout_s:g} is not less than "
                    f"services.batch_s = {self.services.batch_s:g}, after which a batch is ended"
                )
        return self

    def streamout_client_config(self) -> dict[str, str | bool | int | float]:
        """Return the properties for librdkafka of the clients of streaming out, secrets in clear.

        Raises
        ------
        SettingsError
            If `kafka.sasl_password_file` cannot be read or is empty.
        """
        own = self.streamout.own_client_config()
        return own if "bootstrap.servers" in own else self.kafka.client_config() | own

    def to_json_with_secrets(self) -> str:
        """Return all settings as JSON for `load`, secrets in clear: for a private file alone."""
        return json.dumps(self.model_dump(), default=_plain, indent=2)


def _plain(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value.isoformat()


def load(
    path: Path | None,
    env: Mapping[str, str] = os.environ,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> Settings:
    """Read the settings from a file, the environment and the options of a command.

    Parameters
    ----------
    path
        TOML file; None reads none. A ``.json`` file, as `Settings.to_json_with_secrets` makes
        it, has complete settings: the environment is not read.
    env
        Environment; names that start with ``FINKRAY__`` are read.
    overrides
        ``{section: {key: value}}``, override the rest.

    Raises
    ------
    SettingsError
        If the file cannot be read, a key is unknown (the nearest known one is named), or a
        value is of the wrong type (key, value and what is expected are named).
    """
    complete = path is not None and path.suffix == ".json"
    return read_settings(Settings, path, {} if complete else env, overrides or {})
