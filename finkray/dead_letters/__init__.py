"""Finding, showing and exporting dead letters."""
