from __future__ import annotations

import pytest

from shared.events.alert import IncidentEvent


@pytest.mark.parametrize("event", ["opened", "escalated", "updated"])
def test_an_incident_is_open_until_it_is_closed(event: str) -> None:
    assert IncidentEvent(f"driftline.incident.{event}").state == "open"


@pytest.mark.parametrize("event", ["resolved", "accepted", "retracted"])
def test_a_closed_incident_says_how_it_ended(event: str) -> None:
    assert IncidentEvent(f"driftline.incident.{event}").state == event
