"""Play alerts into a Kafka topic: order, pace, trouble, and a record of what was sent."""
