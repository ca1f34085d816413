"""Avro: schemas, containers and frames; records to Arrow columns and back."""
