"""Processes, signals, locks and Java on this machine: what is neither Kafka, Ray nor Spark."""
