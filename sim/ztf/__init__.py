"""Alerts like those of ZTF, made from a seed."""
