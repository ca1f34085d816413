"""Look-ups in the archive for pages and API, in a process of their own with limits."""
