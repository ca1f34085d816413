"""The Ray cluster: find it or start a local one, submit jobs to it, keep the state of commands."""
