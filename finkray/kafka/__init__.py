"""Clients of Kafka: configuration, cluster metadata, topics, consumer, producers, errors."""
