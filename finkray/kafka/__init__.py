"""Clients of Kafka: configuration, cluster metadata, consumer, producer, errors in words."""
