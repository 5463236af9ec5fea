"""Signals: an observation block as arrays that banks and windows update from."""
