"""What was archived: the log of numbered entries, its lease, and what follows it."""
