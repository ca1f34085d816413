"""A real Apache Kafka on this machine: jars, configuration, login, rights."""
