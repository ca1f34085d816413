"""Alerts like those of LSST, made from a seed."""
