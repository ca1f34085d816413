"""What a message holds: from its bytes to rows of a known survey, or a dead letter."""
