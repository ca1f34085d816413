"""What a service is: its class, its contract and the columns it reads."""
