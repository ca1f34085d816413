"""Long-running jobs: the simulator, the page, services and class counts."""
