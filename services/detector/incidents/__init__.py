"""Incidents: one per change of a model, opened, updated and resolved by detections."""
