"""What an operator runs: the console script, the services as Ray jobs, the demo."""
