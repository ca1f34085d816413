"""Settings `[spark]`: the executors that write the archive."""

import re
from typing import Final

from pydantic import Field, PositiveInt, field_validator

from finkray.settings.section import Options, Resources, Section

EXECUTOR_RESOURCE: Final = "spark.ray.raydp_spark_executor.actor.resource."
"""Prefix of the Spark properties that say what an executor reserves of Ray's resources."""

LEAST_EXECUTOR_BYTES: Final = 450 * 1024 * 1024
"""Spark refuses a smaller heap: one and a half times the 300 MiB that it keeps for itself."""

_SIZE: Final = re.compile(r"(\d+)([kmgt])b?", re.IGNORECASE)


class SparkSettings(Section):
    """Structured Streaming on executors that RayDP hosts."""

    executors: PositiveInt = Field(1, description="Number of executors")
    executor_cores: PositiveInt = Field(2, description="Tasks that one executor runs at a time")
    executor_memory: str = Field(
        "1g",
        description="Heap of one executor, in Spark's notation: 450m at least. The executor "
        "reserves as much of Ray's memory",
    )
    executor_cpus: float = Field(
        0.5, ge=0, description="Ray CPUs that each executor reserves; not a limit"
    )
    claims_per_micro_batch: PositiveInt = Field(8, description="Most claims in one micro-batch")
    trickle_s: float = Field(
        5.0,
        ge=0,
        le=60,
        description="Longest time in seconds from one micro-batch with live claims to the next "
        "while few alerts come (a trickle): its claims share files, so that there are fewer files. "
        "`0`: claims neither wait nor share files",
    )
    resources: Resources = Field({}, description="Custom Ray resources that each executor requests")
    conf: Options = Field({}, description="Any property of Spark; overrides what finkray sets")

    @field_validator("executor_memory")
    @classmethod
    def _executor_memory_is_enough(cls, text: str) -> str:
        if not _SIZE.fullmatch(text):
            raise ValueError("expected a number with its unit, such as 900m or 2g")
        if _size_bytes(text) < LEAST_EXECUTOR_BYTES:
            raise ValueError("expected 450m or more: Spark refuses a smaller heap")
        return text

    @property
    def executor_memory_bytes(self) -> int:
        """Heap of one executor."""
        return _size_bytes(self.executor_memory)


def _size_bytes(text: str) -> int:
    number, unit = _SIZE.fullmatch(text).groups()  # type: ignore[union-attr]  # it was checked
    return int(number) << (10 * (1 + "kmgt".index(unit.lower())))
