"""Decode messages: from their bytes to Arrow rows of a known survey, or to dead letters."""
