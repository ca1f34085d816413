"""Settings `[ingest]`: the actors that read Kafka."""

from pydantic import ByteSize, Field, PositiveFloat, PositiveInt

from finkray.settings.section import MiB, Resources, Section


class IngestSettings(Section):
    """The Ray actors that read Kafka, decode, and hold Arrow batches until they are durable."""

    actors: PositiveInt = Field(
        1, le=1024, description="Number of actors that share the partitions"
    )
    held_bytes: ByteSize = Field(
        ByteSize(512 * MiB),
        ge=1 * MiB,
        description="Most bytes of batches that all actors together hold; reading pauses "
        "at this bound",
    )
    claim_bytes: ByteSize = Field(
        ByteSize(32 * MiB), ge=1024, description="Size at which a claim is cut"
    )
    claim_rows: PositiveInt = Field(2000, description="Number of messages at which a claim is cut")
    linger_s: PositiveFloat = Field(0.5, description="Age in seconds at which a claim is cut")
    linger_max_s: PositiveFloat = Field(
        5.0,
        description="Largest age in seconds at which a claim is cut in a trickle, so that there "
        "are fewer files",
    )
    backlog_offsets: int = Field(
        5000,
        ge=0,
        description="Offsets in Kafka at a start above which a partition is archived from its end "
        "at once, with a backfill of the older offsets beside it",
    )
    backfill_per_s: float = Field(
        0.0, ge=0, description="Most alerts per second of all backfills together; 0 sets no limit"
    )
    max_restarts: int = Field(
        -1, ge=-1, description="How often Ray restarts a dead actor; -1 is always"
    )
    resources: Resources = Field({}, description="Custom Ray resources that each actor requests")
    cpus_per_actor: float = Field(
        0.25, ge=0, description="Ray CPUs that each actor reserves; not a limit"
    )
