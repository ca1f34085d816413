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
    """Take a table as it is, its secrets wrapped; anything else is a setting that is not known."""
    if not isinstance(raw, Mapping):
        raise PydanticCustomError("extra_forbidden", "expected a table")
    return {str(key): _hidden(str(key), value) for key, value in raw.items()}


def _hidden(key: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(below): _hidden(str(below), item) for below, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(key, item) for item in value]
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
    """Bounds of every service. A table `[services.NAME]` is given to the service of that name."""

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, Annotated[dict[str, Any], BeforeValidator(_own_table)]] = Field(
        init=False
    )

    min_actors: int = Field(1, ge=0, description="Actors that a service has even in quiet hours")
    max_actors: PositiveInt = Field(4, le=1024, description="Most actors that a service gets")
    target_s: PositiveFloat = Field(
        5.0, description="Actors are added until what waits is done within so many seconds"
    )
    quiet_s: PositiveFloat = Field(
        60.0, description="An actor goes after so many seconds in which fewer would have done"
    )
    batch_rows: PositiveInt = Field(1000, description="Most alerts of a batch")
    batch_s: PositiveFloat = Field(60.0, description="A batch that takes longer is ended")
    start_s: PositiveFloat = Field(
        120.0, description="Import and `setup` of a service may take so many seconds"
    )
    memory_bytes: ByteSize = Field(
        ByteSize(2048 * MiB),
        ge=64 * MiB,
        description="Resident memory that a service's process may have of its own",
    )
    recycle_batches: PositiveInt = Field(
        1000, description="A fresh process takes over after so many batches"
    )
    breaker_failures: PositiveInt = Field(
        6, description="So many batches must fail in a row, without any answer, to pause a service"
    )
    breaker_rest_s: PositiveFloat = Field(
        10.0, description="First pause of a service on which everything fails; it doubles"
    )
    breaker_longest_rest_s: PositiveFloat = Field(300.0, description="Longest such pause")
    nice: int = Field(
        5, ge=0, le=19, description="How far the services' processes stand back for others"
    )
    cpus_per_actor: float = Field(
        0.25, ge=0, description="Ray CPUs that each actor reserves; a reservation, not a limit"
    )
    resources: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="Custom Ray resources that each actor asks for"
    )
    pass_env: list[str] = Field(
        [],
        description="Variables that services get although their names look like secrets or the "
        "broker's own",
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
