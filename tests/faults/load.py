"""What producers write: events of one model from a seed, with everything that producers do wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec

from shared.topics import Topics
from tests.kit.installation import Event
from tests.kit.pipeline import label, prediction, traffic

MODEL = "loan"
LABEL_LAG = 200  # events between a prediction and its label
DRIFTED = {"amount": 90_000.0}  # the second half of every load, so that there are incidents


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Shares of the requests."""

    copies: float = 0.02  # whose prediction and label are written again
    copies_each: int = 1
    labels_first: float = 0.05
    corrected: float = 0.02  # whose label changes, by a later version
    versions_swapped: float = 0.01  # whose corrections come in the wrong order
    poison: float = 0.0  # of events: what nobody can read
    resent: int = 0  # events that a producer writes again after a restart in the middle


@dataclass(frozen=True, slots=True)
class Load:
    """Events in the order in which they are written, and what must come of them within the horizon."""

    events: tuple[Event, ...]
    requests: int  # different ones that are predicted
    labelled: int  # of these, with a label
    poison: int


def load(topics: Topics, seed: int, records: int, mix: Mix | None = None) -> Load:
    """Return about `records` events, the same for the same seed; half of them are predictions, half labels."""
    mix, dice = mix or Mix(), Random(f"load {seed}")
    requests = records // 2
    events: list[tuple[float, Event]] = []
    for place, (predicted, labelled) in enumerate(_rows(requests)):
        for at, is_label, fields in _of_request(place, predicted, labelled, mix, dice):
            topic = topics.ground_truth if is_label else topics.predictions
            events.append((at, Event(topic, predicted["request_id"], msgspec.json.encode(fields))))
    poison = round(mix.poison * len(events))
    for number in range(poison):
        topic = (topics.predictions, topics.ground_truth)[number % 2]
        events.append((dice.uniform(0, 2 * requests), Event(topic, f"poison{number}", _poison(dice))))
    ordered = [event for _, event in sorted(events, key=lambda due: due[0])]
    middle = len(ordered) // 2
    if mix.resent:
        ordered[middle:middle] = ordered[middle - mix.resent : middle]
    poison = sum((event.key or "").startswith("poison") for event in ordered)
    return Load(tuple(ordered), requests, requests, poison)


def labels_for(topics: Topics, requests: range) -> tuple[Event, ...]:
    """Return labels of requests `r<n>` that come too late, or before everything else."""
    return tuple(Event(topics.ground_truth, f"r{n}", msgspec.json.encode(label(request_id=f"r{n}"))) for n in requests)


def predictions_for(topics: Topics, requests: range) -> tuple[Event, ...]:
    """Return predictions of requests `r<n>`."""
    return tuple(
        Event(topics.predictions, f"r{n}", msgspec.json.encode(prediction(request_id=f"r{n}"))) for n in requests
    )


def _rows(requests: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    half = requests // 2
    yield from traffic(half, first=0)
    yield from traffic(requests - half, first=half, **DRIFTED)


def _of_request(
    place: int, predicted: dict[str, Any], labelled: dict[str, Any], mix: Mix, dice: Random
) -> Iterator[tuple[float, bool, dict[str, Any]]]:
    """Yield when each event of a request is written, whether it is a label, and what it says."""
    at = 2.0 * place
    lag = -LABEL_LAG if dice.random() < mix.labels_first else LABEL_LAG
    written = [(at, False, predicted), (at + lag, True, labelled)]
    kind = dice.random()
    if kind < mix.corrected + mix.versions_swapped:
        versions = [1, 2] if kind < mix.corrected else [2, 1]
        for step, version in enumerate(versions, 1):
            truth = labelled["label"] if version == 1 else 1 - labelled["label"]
            written.append((at + abs(lag) + 40 * step, True, {**labelled, "label": truth, "label_version": version}))
    yield from written
    if dice.random() < mix.copies:
        for _ in range(mix.copies_each):
            for was, is_label, fields in written:
                yield was + dice.uniform(0, LABEL_LAG), is_label, fields


def _poison(dice: Random) -> bytes:
    return dice.choice([b"", b"{", b"\xc3\x28", b"[1]", b'{"request_id": NaN}', msgspec.json.encode({"model": MODEL})])
