"""What traffic and labels are made of: shares of segments that are no column, and shares of labels."""
