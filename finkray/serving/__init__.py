"""Running services: one code path for live, for the past and for both."""
