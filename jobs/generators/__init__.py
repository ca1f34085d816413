"""Programs that make files which are committed: the table of settings, the sample alerts."""
