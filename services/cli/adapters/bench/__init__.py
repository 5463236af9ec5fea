"""The benchmarks of `driftline bench`, one module each with a `BENCH`, and what runs them."""
