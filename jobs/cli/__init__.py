"""The console script `finkray`: the options, arguments and help text of each command."""
