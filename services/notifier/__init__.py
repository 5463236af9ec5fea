"""Tells people of incidents, at least once."""
