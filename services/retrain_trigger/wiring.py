"""From `driftline.yaml` to rules and actions, by model."""

from __future__ import annotations

from services.retrain_trigger.actions.webhook import Webhook
from services.retrain_trigger.policy import Rule
from services.retrain_trigger.stage import Retrainable
from shared.monitors import Monitors
from shared.webhooks import Endpoint


def retrainable(monitors: Monitors) -> dict[str, Retrainable]:
    """Return the models that have a `retrain:` section."""
    return {
        name: Retrainable(Rule.of(spec.retrain), Webhook(Endpoint.of(spec.retrain.action.webhook)))
        for name, spec in monitors.models.items()
        if spec.retrain is not None
    }
