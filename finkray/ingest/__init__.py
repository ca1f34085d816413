"""The ingest actors: they read lanes from Kafka, cut and decode claims, and hold their batches."""
