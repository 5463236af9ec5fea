"""What can be asked to retrain: one module per integration, each a `request` and a `verdict`."""
