"""Decides when a model is retrained, writes the decision down, and asks for it."""
