"""`driftline backtest`: the same services over files, in one process, on memory adapters."""
