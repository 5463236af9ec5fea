"""Which notices arise: a fold over one partition of the alerts, in the order of their log.

Time is log time: the running maximum of the records' Kafka timestamps. The wall clock and the receivers have no say.

An incident that opens, escalates or is over is told to every channel that a route names for it, and to those that were
told of it before. What changed meanwhile is told to the service's own log only. While an incident is open, a channel
is told again at the first record, heartbeats included, at or after `every` since it was told last.

The first verdict on a challenger, and each that is another or has another advice than before, is told the same way.
That it stands at ten times as many labels is told to the log only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from services.notifier.book import Book, Compared, OpenIncident, Told, Waiting
from services.notifier.routing import Routes, severity_of
from shared.events.alert import CLOSING, Alert, Heartbeat, Incident, IncidentEvent, Severity
from shared.events.comparison import Comparison
from shared.notify import LOG

MAX_WAITING = 1_000  # per channel; the oldest give way
MAX_OPEN = 10_000  # the incidents that were silent longest are forgotten
MAX_COMPARED = 1_000  # challengers; those told of longest ago are forgotten
MAX_SEEN = 2_048  # more alerts than a detector repeats when it goes back to its checkpoint
NOBODY = Routes(())


@dataclass(slots=True)
class Arisen:
    """What one record gave: new notices, and older ones that gave way."""

    notices: list[Waiting] = field(default_factory=list)
    crowded_out: list[Waiting] = field(default_factory=list)


def fold(book: Book, routes: Routes, offset: int, timestamp_ms: int, alert: Alert | None) -> Arisen:
    """Take one record into `book`; `alert` is None where the record holds none."""
    book.position = offset + 1
    book.log_time_ms = max(book.log_time_ms, timestamp_ms)
    arisen = Arisen()
    if alert is not None and not isinstance(alert.data, Heartbeat) and _is_new(book, alert.id):
        if isinstance(alert.data, Incident):
            arisen.notices += _tell(book, routes, offset, alert, alert.data)
        else:
            arisen.notices += _tell_verdict(book, routes, offset, alert, alert.data)
    arisen.notices += _repeat(book, routes)
    _keep(book, arisen)
    return arisen


def tell_open(book: Book, routes: Routes) -> Arisen:
    """Tell of what is open and of verdicts that stand, as if they came at the book's position: nobody knows them."""
    arisen = Arisen()
    for incident_id, incident in book.open.items():
        for channel in routes.matching(incident.model, incident.severity):
            arisen.notices.append(_notice(book, channel, incident_id, incident, IncidentEvent.OPENED))
            incident.told[channel] = Told(book.log_time_ms)
    for compared in book.compared.values():
        if compared.event is not IncidentEvent.CHALLENGER_UNDECIDED:
            compared.told = list(routes.matching(compared.model, Severity.INFO))
            arisen.notices += (_verdict_notice(book, channel, compared) for channel in compared.told)
    _keep(book, arisen)
    return arisen


def _tell(book: Book, routes: Routes, offset: int, alert: Alert, incident: Incident) -> Iterable[Waiting]:
    known = book.open.pop(incident.incident_id, None)
    told = {} if known is None else known.told
    channels = dict.fromkeys((*routes.matching(incident.model, incident.severity), *told))
    if alert.type is IncidentEvent.UPDATED:
        channels = dict.fromkeys(name for name in channels if name == LOG)
    if alert.type is IncidentEvent.OPENED:
        channels = dict.fromkeys(name for name in channels if name not in told)  # an incident opens once
    now = OpenIncident(incident.model, incident.severity, offset, told)
    if alert.type not in CLOSING:
        book.open[incident.incident_id] = now
        if len(book.open) > MAX_OPEN:
            del book.open[next(iter(book.open))]
    for channel in channels:
        told[channel] = Told(book.log_time_ms, told[channel].repeats if channel in told else 0)
        # Whoever lost its book tells of an open incident again: as the notice that it was.
        subject = "" if alert.type is IncidentEvent.OPENED else alert.id
        yield _notice(book, channel, incident.incident_id, now, alert.type, subject=subject)


def _tell_verdict(book: Book, routes: Routes, offset: int, alert: Alert, said: Comparison) -> Iterable[Waiting]:
    key = f"{said.model}\0{said.model_version}"
    known = book.compared.pop(key, None)
    if known is not None and known.comparison_id != said.comparison_id:
        known = None  # what it rested on has changed: nothing is known of the new one
    is_news = known is None or (known.event, known.advice) != (alert.type, said.advice)
    told = [] if known is None else known.told
    channels = list(dict.fromkeys((*routes.matching(said.model, severity_of(said)), *told)))
    changed_by = alert.id if known is None or is_news else known.changed_by
    now = Compared(said.model, said.champion, said.comparison_id, alert.type, said.advice, changed_by, offset, channels)
    # A champion that serves no more ends what was said about its challengers.
    ended = [name for name, one in book.compared.items() if one.model == said.model and one.champion != said.champion]
    for name in ended:
        del book.compared[name]
    book.compared[key] = now
    if len(book.compared) > MAX_COMPARED:
        del book.compared[next(iter(book.compared))]
    for channel in channels:
        if is_news:
            yield _verdict_notice(book, channel, now)
        elif channel == LOG:
            yield _verdict_notice(book, channel, now, alert.id)


def _verdict_notice(book: Book, channel: str, now: Compared, subject: str | None = None) -> Waiting:
    return _notice(book, channel, now.comparison_id, now, now.event, subject=subject or now.changed_by)


def _repeat(book: Book, routes: Routes) -> Iterable[Waiting]:
    if not routes.repeat:
        return
    for incident_id, incident in book.open.items():
        for channel, every in routes.matching(incident.model, incident.severity).items():
            told = incident.told.get(channel)
            if told is None or every is None or book.log_time_ms - told.at_ms < every:
                continue
            told.at_ms, told.repeats = book.log_time_ms, told.repeats + 1
            yield _notice(
                book,
                channel,
                incident_id,
                incident,
                IncidentEvent.OPENED,
                subject=str(book.log_time_ms),
                repeat=told.repeats,
            )


def _notice(
    book: Book,
    channel: str,
    about: str,
    story: OpenIncident | Compared,
    event: IncidentEvent,
    *,
    subject: str = "",
    repeat: int = 0,
) -> Waiting:
    identity = "\0".join((channel, about, event, str(repeat), subject))
    return Waiting(
        id=hashlib.blake2b(identity.encode(), digest_size=16).hexdigest(),
        channel=channel,
        model=story.model,
        about=about,
        event=event,
        repeat=repeat,
        offset=story.offset,
        since_ms=book.log_time_ms,
    )


def _keep(book: Book, arisen: Arisen) -> None:
    book.waiting += arisen.notices
    for channel in dict.fromkeys(notice.channel for notice in arisen.notices):
        waiting = [notice for notice in book.waiting if notice.channel == channel]
        arisen.crowded_out += waiting[:-MAX_WAITING]
    if arisen.crowded_out:
        gone = {notice.id for notice in arisen.crowded_out}
        book.waiting = [notice for notice in book.waiting if notice.id not in gone]


def _is_new(book: Book, alert_id: str) -> bool:
    mark = int.from_bytes(hashlib.blake2b(alert_id.encode(), digest_size=8).digest(), "big")
    if mark in book.seen:
        return False
    book.seen.append(mark)
    del book.seen[:-MAX_SEEN]
    return True
