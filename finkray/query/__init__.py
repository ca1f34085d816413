"""The streaming query on Spark, and what its tasks write."""
