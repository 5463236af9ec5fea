"""The services; none imports another (the command line and the embedded stack excepted)."""
