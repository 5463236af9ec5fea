"""Answers compared between groups: how unequal they are, and when that is told."""
