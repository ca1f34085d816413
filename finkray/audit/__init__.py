"""The audit: compares Kafka, ledger and files."""
