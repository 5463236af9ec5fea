"""Detectors that people name: bound to a baseline and folded row by row, beside what is calibrated."""
