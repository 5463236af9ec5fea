"""What the command line knows of services before it runs them."""

from __future__ import annotations

from shared.services import SERVICES, SHARING

__all__ = ["DEFINITION_READERS", "SERVICES", "SHARING"]

# Those that read model definitions, and so must not start before these are published.
DEFINITION_READERS = frozenset({"prediction_consumer", "ground_truth_consumer", "detector"})
