"""Rhythms of traffic: what a reference or a week of live traffic says of each hour, and when windows may be trusted."""
