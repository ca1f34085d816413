"""Reading Kafka: lanes, claims and the Ray actors that own partitions."""
