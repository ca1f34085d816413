"""The alarms that the archive can raise, by code, with what the person on shift should do.

`finkray.monitor.watch` decides when each is raised; docs/operations.md explains each at length.
"""

WHAT_TO_DO = {
    "KAFKA_UNREACHABLE": "Is Kafka up, and are kafka.bootstrap_servers and the login right? See "
    "`finkray check`. The archive goes on by itself once it answers; new settings need a restart.",
    "NO_TOPIC": "Is kafka.topics right, and has the login the right to DESCRIBE them? A topic that "
    "appears later is picked up by itself.",
    "EXPIRED": "Kafka's retention removed alerts before they were read: they are lost upstream. "
    "Ask the provider for a replay, and find out why the archive was behind.",
    "LAG_GROWS": "More comes in than is written. Look at `held` and the micro-batches in `finkray "
    "status`: give the archive more cores or executors before Kafka's retention runs out.",
    "STORAGE": "Make room on the archive's disk, or make it writable. The archive has stopped "
    "reading and goes on by itself; nothing is lost while Kafka keeps the alerts.",
    "LOW_DISK": "Make room on the archive's disk before it is full, or lower "
    "archive.low_disk_bytes.",
    "LEASE": "Look at the archive's disk and its network. Another archive could take the folder "
    "over now; should one do so, this one stops by itself and nothing is doubled.",
    "INTAKE_STOPPED": "Nothing is made durable and all the room for batches is taken: look at the "
    "micro-batches in `finkray status` and at the Ray dashboard. It goes on by itself once "
    "batches are written.",
    "ACTOR_DOWN": "Ray starts the ingest actor again by itself; look into the Ray dashboard if "
    "it does not come back.",
    "SLOW_START": "Has Ray free CPUs for Spark's executors? See `ray status`, and the job's log in "
    "the Ray dashboard.",
    "RESTARTS": "Each restart mended something and nothing was lost, but the cause stays: look "
    "into the archive's log, and for processes that the kernel killed for want of memory.",
    "UNKNOWN_SCHEMA": "Put the schema into packets.schema_folder, or into the registry: packets "
    "that come then are archived, and `finkray deadletters redrive` brings in those that waited.",
    "NO_REGISTRY": "Is packets.registry_url right, and does it answer? It is asked again by "
    "itself; `finkray deadletters redrive` brings in the packets that waited.",
    "CLOCK": "Set this machine's clock (`timedatectl`). Nothing is lost: latencies and the times "
    "of this page are wrong until then.",
    "DIFFERENCE": "Offsets are not accounted for: run `finkray audit`, then "
    "`finkray audit --redrive`.",
}
"""What to do about each alarm, by its code."""
