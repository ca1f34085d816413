"""The archive's driver: the decisions, and the loop that carries them out."""
