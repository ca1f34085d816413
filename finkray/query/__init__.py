"""The Structured Streaming query: its session on Ray, its tasks, and their messages."""
