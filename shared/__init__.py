"""What two services must agree on: events, blocks, topics, configuration, ports."""
