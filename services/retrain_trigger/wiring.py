"""From `driftline.yaml` to rules and actions, by model."""

from __future__ import annotations

from services.retrain_trigger.actions.webhook import Webhook
from services.retrain_trigger.policy import Rule
from services.retrain_trigger.stage import Retrainable
from shared.monitors import Monitors


def retrainable(monitors: Monitors) -> dict[str, Retrainable]:
    """Return the models that have a `retrain:` section.

    Raises:
        ConfigurationError: a secret that cannot be one; names its path, not its value.
    """
    return {
        name: Retrainable(
            Rule.of(spec.retrain),
            Webhook.of(spec.retrain.action.webhook, f"models.{name}.retrain.action.webhook"),
        )
        for name, spec in monitors.models.items()
        if spec.retrain is not None
    }
