"""Distances, verdicts and bounds: pure functions over counts, float64 throughout."""
