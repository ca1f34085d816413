"""Figures and alarms of a running archive."""
