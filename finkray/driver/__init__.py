"""The archive's driver: decisions, and the loop that carries them out."""
