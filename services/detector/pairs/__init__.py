"""Columns two by two: correlations, and joint tables of five by five."""
