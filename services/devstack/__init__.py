"""The embedded stack: a real Apache Kafka and a real Redis for `driftline demo`, `driftline dev` and the tests."""
