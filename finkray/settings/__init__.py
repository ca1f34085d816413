"""The settings and their model."""
