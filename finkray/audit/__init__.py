"""The balance sheet: Kafka against the ledger, and the ledger against the files."""
