"""Reference catalogues: described once, cut into sky shards, opened where the alerts are."""
