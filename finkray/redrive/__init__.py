"""Archive missing offsets, and dead letters that decode by now."""
