"""What is told of silence, of columns that change their shape, and of detectors that gave up: by log time alone."""
