"""Where the view of a shard is kept: Redis, or this process."""
