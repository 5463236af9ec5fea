"""Where people read: one module per channel."""
