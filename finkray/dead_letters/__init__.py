"""Find, show and export dead letters."""
