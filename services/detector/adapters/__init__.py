"""Where the detector touches the world: checkpoints in Redis, reference files."""
