"""The alarms that the archive can raise, by code, with what the person on shift should do.

`finkray.monitor.alarm_rules` decides when each is raised; docs/operations.md explains each.
"""

WHAT_TO_DO = {
    "KAFKA_UNREACHABLE": "Is Kafka up, and are kafka.bootstrap_servers and the login right? See "
    "`finkray check`. The archive continues when Kafka answers; new settings need a restart.",
    "NO_TOPIC": "Is kafka.topics right, and does the login have the right to DESCRIBE them? A "
    "topic that is created later is discovered without a restart.",
    "EXPIRED": "Kafka's retention deleted alerts before they were read: they are lost upstream. "
    "Ask the provider for a replay, and find out why the archive was behind.",
    "UNREADABLE": "Record batches in Kafka are damaged, or cannot be decompressed. Ask Kafka's "
    "operator to check the disks of the partition's brokers. After kafka.unreadable_tries the "
    "archive skips a batch; `finkray audit --redrive` reads it again.",
    "LAG_GROWS": "More alerts arrive than are written. Check `held` and the micro-batches in "
    "`finkray status`: give the archive more cores or executors before Kafka's retention deletes "
    "alerts.",
    "STORAGE": "Free space on the archive's disk, or make it writable; of an object store see "
    "docs/storage.md. The archive has stopped reading and retries on its own; nothing is lost "
    "while Kafka keeps the alerts.",
    "LOW_DISK": "Free space on the archive's disk before it is full, or lower "
    "archive.low_disk_bytes.",
    "LEASE": "Check the archive's disk and its network. Another archive could take over the folder "
    "now; then this one stops on its own, and no alert is archived twice.",
    "INTAKE_STOPPED": "The ingest actors hold as much as they may, and nothing becomes durable: "
    "check the micro-batches in `finkray status` and the Ray dashboard. The archive reads on when "
    "batches are written.",
    "TOPIC_HELD_BACK": "The topic sends more than can be written, and is read no further until "
    "some of it is durable; other topics keep their latency. If its alerts are wanted sooner, give "
    "the archive more cores or ingest.held_bytes; else ask its sender.",
    "ACTOR_DOWN": "Ray restarts the ingest actor; check the Ray dashboard if it stays down.",
    "ACTOR_MEMORY": "Record batches of Kafka unpacked to more than ingest.memory_bytes. The actor "
    "was restarted, reads with small fetches, and nothing is lost. If it happens again, find the "
    "topic's sender: a few kB of gzip may become gigabytes.",
    "SLOW_START": "Does Ray have free CPUs for Spark's executors? See `ray status`, and the job's "
    "log in the Ray dashboard.",
    "RESTARTS": "No restart lost an alert, but the cause persists: check the archive's log, and "
    "whether the kernel killed processes for lack of memory.",
    "UNKNOWN_SCHEMA": "Put the schema into packets.schema_folder or into the registry: then new "
    "packets are archived, and `finkray deadletters redrive` archives those that waited.",
    "NO_REGISTRY": "Is packets.registry_url right, and does the registry answer? It is retried by "
    "itself; `finkray deadletters redrive` archives the packets that waited.",
    "OTHER_COLUMNS": "`finkray deadletters list --all --reason other_columns` names the columns "
    "and both types: ask the provider whether the schema changed on purpose. The packets are kept, "
    "whole.",
    "CLOCK": "Set this machine's clock (`timedatectl`). Nothing is lost: latencies and the times "
    "of this page are wrong until then.",
    "DIFFERENCE": "Offsets are not accounted for: run `finkray audit`, then "
    "`finkray audit --redrive`.",
}
"""What to do about each alarm, by its code."""

MOST_URGENT_FIRST = (
    # Nothing becomes durable, or another archive may take over.
    *("STORAGE", "LEASE", "KAFKA_UNREACHABLE", "INTAKE_STOPPED", "NO_TOPIC", "SLOW_START"),
    # Alerts are lost or missing, or will be.
    *("DIFFERENCE", "EXPIRED", "LOW_DISK", "LAG_GROWS"),
    # Some alerts wait, or are kept aside.
    *("ACTOR_DOWN", "TOPIC_HELD_BACK", "UNREADABLE", "UNKNOWN_SCHEMA", "NO_REGISTRY"),
    *("OTHER_COLUMNS", "ACTOR_MEMORY", "RESTARTS", "CLOCK"),
)
"""All codes, in the order in which a person on shift should read them: status shows some whole."""
