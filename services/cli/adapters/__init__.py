"""Where the command line touches the world: processes, Kafka, the environment."""
