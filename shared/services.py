"""The services by name, in order of flow: who runs them and where each serves its health go by this order."""

from __future__ import annotations

SERVICES = (
    "prediction_consumer",
    "ground_truth_consumer",
    "joiner",
    "detector",
    "retrain_trigger",
    "notifier",
)
SHARING = ("joiner", "detector")  # those of which several share out partitions as the settings say
