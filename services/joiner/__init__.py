"""The joiner: folds `driftline.halves` into `driftline.observations`, its state in Redis beside its position."""
