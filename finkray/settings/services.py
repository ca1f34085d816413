"""Settings `[services]`: the bounds of every service, and a table of its own for each."""

from collections.abc import Mapping
from datetime import date, time
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    model_validator,
)
from pydantic_core import PydanticCustomError

from finkray.settings.reader import SECRET_NAME
from finkray.settings.section import MiB, Section


def _own_table(raw: Any) -> Any:
    """Return a table with its secrets wrapped; refuse anything else as an unknown setting."""
    if not isinstance(raw, Mapping):
        raise PydanticCustomError("extra_forbidden", "expected a table")
    return {str(key): _wrap_secrets(str(key), value) for key, value in raw.items()}


def _wrap_secrets(key: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(below): _wrap_secrets(str(below), item) for below, item in value.items()}
    if isinstance(value, list | tuple):
        return [_wrap_secrets(key, item) for item in value]
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, str) and SECRET_NAME.search(key):
        return SecretStr(value)
    return value


def _revealed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _revealed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_revealed(item) for item in value]
    return value.get_secret_value() if isinstance(value, SecretStr) else value


class ServiceSettings(Section):
    """Bounds of every service. A table `[services.NAME]` is passed to the service of that name."""

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, Annotated[dict[str, Any], BeforeValidator(_own_table)]] = Field(
        init=False
    )

    min_actors: int = Field(1, ge=0, description="Fewest actors of a service, also in quiet hours")
    max_actors: PositiveInt = Field(4, le=1024, description="Most actors of a service")
    target_s: PositiveFloat = Field(
        5.0,
        description="Seconds within which waiting alerts are to be done; actors are added to "
        "reach it",
    )
    quiet_s: PositiveFloat = Field(
        60.0, description="Seconds in which fewer actors would have sufficed, before one is removed"
    )
    batch_rows: PositiveInt = Field(1000, description="Most alerts in a batch")
    batch_s: PositiveFloat = Field(60.0, description="Time limit for a batch, in seconds")
    start_s: PositiveFloat = Field(
        120.0, description="Time limit for import and `setup` of a service, in seconds"
    )
    memory_bytes: ByteSize = Field(
        ByteSize(2048 * MiB),
        ge=64 * MiB,
        description="Most resident memory of a service's process, without shared pages",
    )
    recycle_batches: PositiveInt = Field(
        1000, description="Batches after which a fresh process replaces the old one"
    )
    breaker_failures: PositiveInt = Field(
        6, description="Consecutive failed batches before the service is paused"
    )
    breaker_rest_s: PositiveFloat = Field(
        10.0, description="First pause, in seconds; it doubles while batches fail"
    )
    breaker_longest_rest_s: PositiveFloat = Field(300.0, description="Longest pause, in seconds")
    nice: int = Field(5, ge=0, le=19, description="Niceness of the services' processes, 0 to 19")
    cpus_per_actor: float = Field(
        0.25, ge=0, description="Ray CPUs that each actor reserves; not a limit"
    )
    resources: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="Custom Ray resources that each actor requests"
    )
    pass_env: list[str] = Field(
        [],
        description="Environment variables that are passed to services beside those that every "
        "program needs (PATH, HOME, LANG and the like)",
    )

    def own_tables(self) -> dict[str, dict[str, Any]]:
        """Return the tables `[services.NAME]` by name, secrets in clear: for the services alone."""
        return {name: _revealed(table) for name, table in (self.model_extra or {}).items()}

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> "ServiceSettings":
        if self.min_actors > self.max_actors:
            raise ValueError(
                f"services.min_actors = {self.min_actors} is more than services.max_actors = "
                f"{self.max_actors}"
            )
        return self
