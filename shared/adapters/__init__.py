"""The only rooms of `shared` that touch the world: Kafka, Redis, HTTP, the clock, Faust."""
