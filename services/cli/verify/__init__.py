"""Folding the logs again: whether what the services left behind is what one thread makes of the same records."""
