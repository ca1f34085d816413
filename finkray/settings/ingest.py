"""Settings `[ingest]`: the actors that read Kafka."""

from typing import Final

from pydantic import ByteSize, Field, PositiveFloat, PositiveInt, model_validator

from finkray.settings.section import MiB, Resources, Section

OWN_MEMORY_BYTES: Final = 1024 * MiB
"""What an actor may take beside its share of the held bytes, by default: 200 MiB for the process,
the client's queues with what a fetch unpacks to, and decoding."""

LEAST_MEMORY_BYTES: Final = 384 * MiB
"""Below this an actor might end without a cause: its process takes 200 MiB, and decoding a claim
of the default size another 100."""


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
    memory_bytes: ByteSize = Field(
        ByteSize(0),
        ge=0,
        description="Most resident memory of one actor, without shared pages: one that takes more "
        "ends and is restarted. A record batch that unpacks to more than half of it becomes a gap "
        "of the kind `unreadable`. `0`: its share of `held_bytes` plus 1 GiB",
    )
    claim_bytes: ByteSize = Field(
        ByteSize(32 * MiB), ge=1024, description="Size at which a claim is cut"
    )
    claim_rows: PositiveInt = Field(2000, description="Number of messages at which a claim is cut")
    linger_s: PositiveFloat = Field(0.5, description="Age in seconds at which a claim is cut")
    linger_max_s: PositiveFloat = Field(
        5.0,
        description="Largest age in seconds at which a small claim (below 1/64 of `claim_bytes`) "
        "is cut, so that there are fewer files",
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

    @model_validator(mode="after")
    def _actors_have_memory(self) -> "IngestSettings":
        share = self.held_bytes // self.actors
        least = share + LEAST_MEMORY_BYTES
        if 0 < self.memory_bytes < least:
            raise ValueError(
                f"memory_bytes = {self.memory_bytes} is too little for one actor: its share of "
                f"held_bytes, {share} bytes, and {LEAST_MEMORY_BYTES} for the process are {least}"
            )
        return self

    @property
    def actor_memory_bytes(self) -> int:
        """Most memory of one actor."""
        return int(self.memory_bytes or self.held_bytes // self.actors + OWN_MEMORY_BYTES)
