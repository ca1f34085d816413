"""The narrow columns of built nights, which readers take in place of many hourly files."""
