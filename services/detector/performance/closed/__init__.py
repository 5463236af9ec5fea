"""Monitors of closed cohorts: how well scores rank, and whether they still mean what they meant."""
