"""The one-machine stack: a real Kafka, a real PostgreSQL, the services and the simulated outside world."""
