"""Every metric of labelled predictions: its value, its interval, or why it has none."""
