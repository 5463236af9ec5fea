"""Where ground_truth_consumer touches the world."""
