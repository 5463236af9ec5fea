"""The services by name, in order of flow."""

from __future__ import annotations

SERVICES = (
    "prediction_consumer",
    "ground_truth_consumer",
    "joiner",
    "detector",
    "retrain_trigger",
    "notifier",
)

# Those that read model definitions, and so must not start before these are published.
DEFINITION_READERS = frozenset({"prediction_consumer", "ground_truth_consumer", "detector"})
