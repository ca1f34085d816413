"""The ledger: numbered entries that say what is archived, their lease, and their readers."""
