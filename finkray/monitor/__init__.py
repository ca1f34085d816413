"""What is told of a running archive: figures, alarms and where they are shown."""
