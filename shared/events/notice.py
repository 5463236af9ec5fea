"""Notices: what the notifier posts to a generic webhook."""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from shared.events.alert import ComparisonAlert, IncidentAlert, Severity
from shared.events.comparison import Advice

EmbeddedAlert = TypeVar("EmbeddedAlert")


class NoticeEvent(StrEnum):
    """What is told; receivers are not bothered with updates, which a repeat says."""

    OPENED = "opened"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    ACCEPTED = "accepted"
    RETRACTED = "retracted"


class WebhookNotice(msgspec.Struct, Generic[EmbeddedAlert], frozen=True, kw_only=True):
    """One notice of an incident. `text` is one line for people; `alert` is the CloudEvent as it stands in `alerts`.

    repeat: 0, or the number of the repeat while the incident is open; `event` is then `opened`, and `alert` the latest.
    """

    text: str
    event: NoticeEvent
    repeat: int
    severity: Severity
    model: str
    model_version: str
    incident_id: str
    alert: EmbeddedAlert


class VerdictEvent(StrEnum):
    """What is told of a challenger."""

    CHALLENGER_BETTER = "challenger_better"
    CHALLENGER_WORSE = "challenger_worse"
    CHALLENGER_UNDECIDED = "challenger_undecided"


class WebhookVerdict(msgspec.Struct, Generic[EmbeddedAlert], frozen=True, kw_only=True):
    """One notice of a verdict on a challenger, told when it changes. `model_version` is the challenger's."""

    text: str
    event: VerdictEvent
    severity: Severity
    model: str
    model_version: str
    champion: str
    advice: Advice
    comparison_id: str
    alert: EmbeddedAlert


IncidentNotice = WebhookNotice[IncidentAlert]
VerdictNotice = WebhookVerdict[ComparisonAlert]
