"""Views: what is kept up to date with a ledger, and can be made again from it at any time."""
