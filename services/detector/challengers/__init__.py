"""Champion and challengers on the same requests."""
