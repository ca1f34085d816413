"""HATS nights: one sky-partitioned collection for each observing night, made from the archive."""
