"""What the `dead-letters` commands do, over the port to the log."""
