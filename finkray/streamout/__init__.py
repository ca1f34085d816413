"""Streaming out: filters over durable alerts, and their alerts as Avro messages in Kafka topics."""
