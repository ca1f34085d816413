"""Avro: containers, frames and schemas, read into Arrow columns."""
