"""What labels tell: metrics per cohort of predictions, and monitors that watch for a loss."""
