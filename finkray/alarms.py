"""The alarms that the archive can raise: one code each, and what the person on shift does."""

WHAT_TO_DO = {
    "KAFKA_UNREACHABLE": "Is Kafka up, and are kafka.bootstrap_servers and the login right? See "
    "`finkray check`. The archive goes on by itself once it answers; new settings need a restart.",
    "NO_TOPIC": "Is kafka.topics right, and has the login the right to DESCRIBE them? A topic that "
    "appears later is picked up by itself.",
    "STORAGE": "Make room on the archive's disk, or make it writable. The archive has stopped "
    "reading and goes on by itself; nothing is lost while Kafka keeps the alerts.",
    "EXPIRED": "Kafka's retention removed alerts before they were read: they are lost upstream. "
    "Ask the provider for a replay, and find out why the archive was behind.",
    "ACTOR_DOWN": "Ray starts the ingest actor again by itself; look into the Ray dashboard if "
    "it does not come back.",
    "UNKNOWN_SCHEMA": "Put the schema into packets.schema_folder, or mend the registry: packets "
    "that come then are archived, and `finkray deadletters redrive` brings in those that waited.",
    "DIFFERENCE": "Offsets are not accounted for: run `finkray audit`, then "
    "`finkray audit --redrive`.",
}
"""What to do about each alarm, by its code."""
