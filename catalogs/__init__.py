"""Reference catalogues: described, built into sky shards, and opened beside the alerts."""
