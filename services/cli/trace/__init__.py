"""One request through all logs: `driftline trace`."""
