"""Bringing in what is missing, and dead letters that decode by now."""
