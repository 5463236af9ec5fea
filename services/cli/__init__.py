"""The `driftline` command line: thin commands over the services, and the demo."""
