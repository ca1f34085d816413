"""Run services: one code path for live alerts, for archived alerts, and for both."""
