"""The science store: what services answered, beside the archive."""
