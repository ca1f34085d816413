"""Settings `[ingest]`: the actors that read Kafka."""

from pydantic import ByteSize, Field, PositiveFloat, PositiveInt

from finkray.settings.section import MiB, Resources, Section


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
