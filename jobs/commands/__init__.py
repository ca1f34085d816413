"""What each command of `finkray` does, and how its output looks."""
