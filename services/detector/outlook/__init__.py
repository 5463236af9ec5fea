"""What each kind of detector will find, and how often for nothing, on a model like its reference."""
