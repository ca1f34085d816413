"""A real Kafka, and alerts to play into it: from files, or made from a seed."""
