"""Compare what was played with what an archive has."""
