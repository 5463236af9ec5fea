"""The decisions to retrain against the alerts that they answer: one for each that asks for it, none for nothing.

Whether a decision asks or holds depends on what receivers had answered by then, which no log tells in full. So what is
proved is which alerts were answered, by which trigger, under which key, and that no incident has two retrainings.

Who verifies while services run asks in this order: what the trigger has committed (each alert below is answered), how
far the decisions reach, how far the alerts reach (every decision written answers one of them).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

from services.cli.verify.installation import Installation
from services.cli.verify.report import Check, Evidence, named
from services.retrain_trigger.ledger import Ledger, decode_entry
from services.retrain_trigger.policy import Moment, Rule, Standing, decide
from shared.definition import Catalogue
from shared.errors import Malformed
from shared.events.alert import decode_alert
from shared.events.retraining import Retraining, RetrainingState
from shared.history import history
from shared.log import Bounds, Reader, Record, TopicPartition

_NOT_STANDING = frozenset({RetrainingState.HELD, RetrainingState.FAILED, RetrainingState.REJECTED})


def verify_decisions(here: Installation, reader: Reader, number: int) -> Evidence:
    """Return what is found of one partition of the alerts."""
    source = TopicPartition(here.topics.alerts, number)
    answered = here.committed("retrain_trigger", [source]).get(source)
    ledger_source = TopicPartition(here.topics.retraining, number)
    ends, alerts = reader.bounds(ledger_source), reader.bounds(source)
    found = _Decisions(here, Evidence(Check.RETRAINING, source, *alerts), rules_of(here.catalogue), answered)
    with closing(here.open_reader()) as log:
        for record in history(log, ledger_source, *ends):
            found.absorb(record)
        found.begin(alerts)
        for record in here.metered(log, source, *alerts, "reading"):
            found.take(record)
    found.end()
    return found.evidence


def rules_of(catalogue: Catalogue) -> Mapping[str, Rule | None]:
    """Return the rule of each model that has one.

    None where it was another one before: a running trigger goes on with the one that it started with.
    """
    found: dict[str, Rule | None] = {}
    for definition in catalogue.definitions.values():
        spec = definition.spec.retrain
        rule = None if spec is None else Rule.of(spec)
        found[definition.model] = rule if found.setdefault(definition.model, rule) == rule else None
    asked = {d.model for d in catalogue.definitions.values() if d.spec.retrain is not None}
    return {model: rule for model, rule in found.items() if model in asked}


class _Decisions:
    """The latest state of every decision, and the alerts that are read against it."""

    def __init__(
        self, here: Installation, evidence: Evidence, rules: Mapping[str, Rule | None], answered: int | None
    ) -> None:
        self.evidence = evidence
        self._here, self._rules, self._answered = here, rules, answered
        self._entries: dict[str, Retraining] = {}  # by effect
        self._asked: set[str] = set()  # effects that an alert asks for
        self._ledger = Ledger()
        self._moments: dict[str, Moment] = {}
        self._low = 0

    def absorb(self, record: Record) -> None:
        """Take a record of the decisions; what orchestrators write is read alike."""
        if record.value is None:
            return
        try:
            entry = decode_entry(record.value)
        except Malformed as exc:
            self.evidence.differs(named(record.source, record.offset), f"is no decision ({exc})")
            return
        self._entries[entry.effect_id] = entry
        self._ledger.absorb(entry)

    def begin(self, alerts: Bounds) -> None:
        """Look at the decisions by themselves."""
        self._low = alerts.low
        standing: dict[str, Retraining] = {}
        for entry in self._entries.values():
            self.evidence.count("decisions")
            if entry.incident_id is None or entry.state in _NOT_STANDING:
                continue
            other = standing.setdefault(entry.incident_id, entry)
            if other is not entry:
                self.evidence.differs(
                    f"effect {entry.effect_id}", f"is a second retraining of {entry.incident_id}: {other.effect_id}"
                )
        for model, rule in self._rules.items():
            if rule is None:
                self.evidence.leaves_out(f"{model}: its trigger was changed; whether each alert is answered")
        if self._answered is None and alerts.high > alerts.low and self._rules:
            self.evidence.leaves_out("retrain_trigger has committed nothing: whether each alert is answered")

    def take(self, record: Record) -> None:
        """Take an alert."""
        try:
            alert = decode_alert(record.value)
        except Malformed:
            return  # told by the check of the alerts
        model = alert.data.model
        rule = self._rules.get(model)
        if rule is None:
            return
        before = self._moments.get(model) or Moment(watched_since_ms=self._ledger.watched_since_ms(model))
        now = self._moments[model] = before.after(alert.type, record.timestamp_ms)
        decision = decide(rule, before, alert, now, Standing())
        self.evidence.count("alerts")
        if decision is None:
            return
        self._asked.add(decision.effect_id)
        entry = self._entries.get(decision.effect_id)
        at = named(record.source, record.offset)
        if entry is None:
            if record.offset < (self._answered or 0):
                self.evidence.differs(at, f"{decision.cause} asks for a decision, and there is none")
        elif (entry.cause, entry.alert_id, entry.model) != (decision.cause, alert.id, model):
            self.evidence.differs(at, f"effect {entry.effect_id} says {entry.cause} of {entry.alert_id}")

    def end(self) -> None:
        """Look at the decisions that no alert led to."""
        for entry in self._entries.values():
            if self._rules.get(entry.model) is None or entry.effect_id in self._asked:
                continue
            # When a schedule was due follows from the heartbeat before, which may be gone, too.
            if entry.alerts_offset < self._low or (self._low > 0 and entry.incident_id is None):
                self.evidence.leaves_out("decisions about alerts that are no longer kept")
            else:
                self.evidence.differs(f"effect {entry.effect_id}", f"answers no alert ({entry.cause} of {entry.model})")
