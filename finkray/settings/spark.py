"""Settings `[spark]`: the executors that write the archive."""

from pydantic import Field, PositiveInt

from finkray.settings.section import Options, Resources, Section


class SparkSettings(Section):
    """Structured Streaming on executors that RayDP hosts."""

    executors: PositiveInt = Field(1, description="Number of executors")
    executor_cores: PositiveInt = Field(2, description="Tasks that one executor runs at a time")
    executor_memory: str = Field(
        "1g", pattern=r"(?i)^\d+[kmgt]b?$", description="Heap of one executor, in Spark's notation"
    )
    executor_cpus: float = Field(
        0.5, ge=0, description="Ray CPUs that each executor reserves; not a limit"
    )
    claims_per_micro_batch: PositiveInt = Field(8, description="Most claims in one micro-batch")
    trickle_s: float = Field(
        5.0,
        ge=0,
        le=60,
        description="In a trickle, seconds from one micro-batch to the next, whose small claims "
        "share files, so that there are fewer; `0`: claims neither wait nor share",
    )
    resources: Resources = Field({}, description="Custom Ray resources that each executor requests")
    conf: Options = Field({}, description="Any property of Spark; overrides what finkray sets")
