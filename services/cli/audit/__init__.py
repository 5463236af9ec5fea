"""Who did what, and what the services decided: `driftline audit`."""
