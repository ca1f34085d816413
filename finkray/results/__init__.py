"""Alert results: what services computed for alerts, stored beside the archive."""
