"""What an intake counts, as metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from shared.control import catalogue_measures
from shared.events.dead_letter import REASONS
from shared.ingest.intake import MAX_UNKNOWN_MODELS, Intake
from shared.measures import Labels, Measure, bounded, number
from shared.monitors import MAX_MODELS


def intake_measures(intake: Intake) -> Iterator[Measure]:
    """Yield what became of events, and the use of what bounds their models."""
    events: dict[Labels, float] = {(model, "rows"): 0 for model in intake.models.names}
    letters: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
    for (model, code), times in intake.counts.items():
        events[model, code] = times
        if code in letters:
            letters[code] += times
    yield Measure(
        "ingest_events_total",
        "Events by model and by what was seen in them: rows, reasons of dead letters, what was ignored or invalid.",
        events,
        ("model", "code"),
    )
    yield Measure(
        "dead_letters_total",
        "Records that could not be used, by reason.",
        {(reason,): times for reason, times in letters.items()},
        ("reason",),
    )
    yield number("ingest_slow_path_total", "Events that the typed decoder left to the slow path.", intake.salvaged)
    yield from catalogue_measures(intake.models.catalogue)
    yield from bounded("ingest_models", "Models that are watched.", {(): len(intake.models.names)}, MAX_MODELS)
    yield from bounded(
        "ingest_unknown_models",
        "Names of unknown models that are counted on their own; more of them count as one.",
        {(): intake.unknown_models},
        MAX_UNKNOWN_MODELS,
    )
