"""ground_truth_consumer: label events to blocks of `driftline.halves`."""
